import { Button, makeStyles, mergeClasses, tokens } from '@fluentui/react-components';
import { useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useState } from 'react';
import { Navigate, Outlet, useLocation, useNavigate } from 'react-router';

import { whenAsked } from '../api/client';
import { useEvents, useStream } from '../api/events';
import { Refusal } from '../api/error';
import { useSessionQuery } from '../api/session';
import { Failure, PageWaiting } from '../ui/states';
import { Boundary } from './Boundary';
import { Elsewhere } from './Elsewhere';
import { Header } from './Header';
import { Navigation } from './Navigation';
import { SetupBanner } from './SetupBanner';

const Keys = lazy(() => import('./Keys'));

const useStyles = makeStyles({
  shell: {
    display: 'grid',
    gridTemplateRows: '48px minmax(0, 1fr)',
    gridTemplateColumns: 'auto minmax(0, 1fr)',
    minHeight: '100vh',
    backgroundColor: tokens.colorNeutralBackground2,
  },
  skip: {
    position: 'absolute',
    top: '-60px',
    left: '8px',
    zIndex: 1000,
    ':focus-within': { top: '8px' },
  },
  header: { gridColumn: '1 / -1', position: 'sticky', top: 0, zIndex: 10 },
  nav: {
    position: 'sticky',
    top: '48px',
    height: 'calc(100vh - 48px)',
    '@media (max-width: 900px)': { display: 'none' },
  },
  main: { gridColumn: '2', minWidth: 0, '@media (max-width: 900px)': { gridColumn: '1 / -1' } },
});

/** The sign-in page, and the way back from it. */
function signInPath(): string {
  const here = `${window.location.pathname}${window.location.search}`;
  return here === '/' ? '/sign-in' : `/sign-in?return=${encodeURIComponent(here)}`;
}

/** What is around every page of somebody who is signed in. */
export function Shell() {
  const styles = useStyles();
  const navigate = useNavigate();
  const { pathname, search } = useLocation();
  const session = useSessionQuery();
  const [drawer, setDrawer] = useState(false);
  const [help, setHelp] = useState(false);

  const queries = useQueryClient();

  useEffect(
    () =>
      whenAsked({
        signedOut: () => {
          // Several requests may be refused at once; the first one knows where we were.
          if (window.location.pathname === '/sign-in') return;
          navigate(signInPath(), { replace: true });
          queries.clear();
        },
      }),
    [navigate, queries],
  );
  useEvents((fact) => {
    if (fact.kind === 'onboarding.stageChanged') void queries.invalidateQueries({ queryKey: ['session'] });
    if (/^(onboarding|readiness|tenant)\./.test(fact.kind)) {
      for (const key of ['onboarding', 'tenants']) void queries.invalidateQueries({ queryKey: [key] });
    }
    if (!/^(access|grant)\./.test(fact.kind)) return;
    for (const key of ['access', 'grant', 'tenants']) void queries.invalidateQueries({ queryKey: [key] });
  });
  useStream(Boolean(session.data), () => void queries.invalidateQueries());
  useEffect(() => setDrawer(false), [pathname, search]);
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement | null;
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (target?.closest('input, textarea, select, [contenteditable], [role="combobox"]')) return;
      if (event.key === '?') setHelp(true);
      if (event.key === '/') {
        const search = document.querySelector<HTMLInputElement>('[data-search="page"] input, input[data-search="page"]');
        const box = search ?? document.querySelector<HTMLInputElement>('input[data-search="all"]');
        if (box) {
          event.preventDefault();
          box.focus();
          box.select();
        }
      }
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, []);

  if (session.isPending) return <PageWaiting />;
  if (!session.data) {
    const out = session.error instanceof Refusal && session.error.status === 401;
    return out ? <Navigate to={signInPath()} replace /> : <Failure error={session.error} retry={() => void session.refetch()} />;
  }
  return (
    <div className={styles.shell} data-shell>
      <div className={styles.skip} data-screen>
        <Button appearance="primary" as="a" href="#main">
          Skip to content
        </Button>
      </div>
      <div className={styles.header} data-screen>
        <Header onMenu={() => setDrawer(true)} onHelp={() => setHelp(true)} />
      </div>
      <div className={styles.nav} data-screen>
        <Navigation />
      </div>
      <Navigation drawer open={drawer} onClose={() => setDrawer(false)} />
      <main id="main" tabIndex={-1} className={mergeClasses(styles.main)}>
        <SetupBanner />
        <Elsewhere />
        <Boundary key={pathname}>
          <Suspense fallback={<PageWaiting />}>
            <Outlet />
          </Suspense>
        </Boundary>
      </main>
      {help && (
        <Suspense>
          <Keys onClose={() => setHelp(false)} />
        </Suspense>
      )}
    </div>
  );
}
