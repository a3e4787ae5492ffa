import {
  FluentProvider,
  RendererProvider,
  createDOMRenderer,
} from '@fluentui/react-components';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router';

import { Refusal } from './api/error';
import { sessionQuery } from './api/session';
import { Portal, preload } from './routes';
import { StepUp } from './sign-in/StepUp';
import { ThemeContext } from './ui/ThemeContext';
import { Toasts } from './ui/Toasts';
import { dark, light } from './ui/theme';
import { useThemeChoice } from './ui/useTheme';

// The policy of the page lets only style elements with this response's nonce in.
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';
const renderer = createDOMRenderer(document, { styleElementAttributes: { nonce } });

const queries = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      // What may not be seen any more is not shown any longer, however it was read before.
      if (error instanceof Refusal && [401, 403, 404].includes(error.status)) query.setState({ data: undefined });
    },
  }),
  mutationCache: new MutationCache(),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What was refused is refused again; only what got lost on the way is worth another try.
      retry: (count, error) =>
        count < 2 && error instanceof Refusal && (error.status === 0 || error.status >= 502),
    },
  },
});

// The page and the answer to who is asking come at the same time, not one after the other; the
// answers first, because browsers ask for six things at a time.
if (!/^\/(sign-in|setup)(\/|$)/.test(window.location.pathname)) void queries.prefetchQuery(sessionQuery);
preload(queries, window.location.pathname, window.location.search);

function App() {
  const theme = useThemeChoice();
  return (
    <RendererProvider renderer={renderer} targetDocument={document}>
      <FluentProvider theme={theme.isDark ? dark : light}>
        <ThemeContext value={theme}>
          <QueryClientProvider client={queries}>
            {/* A tick that changes the address shows at once, not when there is time for it. */}
            <BrowserRouter useTransitions={false}>
              <Portal />
              <StepUp />
            </BrowserRouter>
          </QueryClientProvider>
          <Toasts />
        </ThemeContext>
      </FluentProvider>
    </RendererProvider>
  );
}

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
