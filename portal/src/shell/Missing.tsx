import { Link } from 'react-router';

import { Page } from '../ui/Page';
import { Empty } from '../ui/states';

export function Missing() {
  return (
    <Page title="Page not found">
      <Empty title="There is nothing at this address" action={<Link to="/">Go to Home</Link>}>
        The link may be incomplete, or what it led to may be out of your reach.
      </Empty>
    </Page>
  );
}
