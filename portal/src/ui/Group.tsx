import { FieldContextProvider } from '@fluentui/react-components';
import type { ReactNode } from 'react';

/**
 * Several controls inside one field. A field hands its id and its label to every control inside it: a click on the
 * name of any of several boxes would tick the first. Here each keeps its own.
 */
export function Group({ label, className, children }: { label: string; className?: string; children: ReactNode }) {
  return (
    <FieldContextProvider value={undefined}>
      <div role="group" aria-label={label} className={className}>
        {children}
      </div>
    </FieldContextProvider>
  );
}
