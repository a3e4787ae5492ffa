import { Link, type LinkProps } from '@fluentui/react-components';
import type { MouseEvent, ReactNode } from 'react';
import { useHref, useNavigate } from 'react-router';

/** A link within the portal. With a key held the browser does what it always does. */
export function Go({ to, children, ...rest }: { to: string; children: ReactNode } & Omit<LinkProps, 'href' | 'as' | 'onClick'>) {
  const navigate = useNavigate();
  const href = useHref(to);
  return (
    <Link
      {...(rest as object)}
      href={href}
      onClick={(event: MouseEvent) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        navigate(to);
      }}
    >
      {children}
    </Link>
  );
}
