import { Component, type ReactNode } from 'react';

import { Page } from '../ui/Page';
import { Failure } from '../ui/states';

/** Keeps the shell when a page breaks, and says so. */
export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Page title="This page broke">
        <Failure error={this.state.error} retry={() => window.location.reload()} title="The page could not be shown" />
      </Page>
    );
  }
}
