import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
  Field,
  Input,
  makeStyles,
} from '@fluentui/react-components';
import { KeyRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useNavigate } from 'react-router';

import { api, read, whenAsked } from '../api/client';
import { explain, get, supported } from '../api/passkey';
import { useRefreshSession, useSessionQuery } from '../api/session';
import { Failure } from '../ui/states';
import { useReturn } from '../ui/useReturn';
import { providerPath } from './where';

const useStyles = makeStyles({ content: { display: 'flex', flexDirection: 'column', gap: '14px' } });

/** Asks for a second factor when the server wants one, and lets the request be repeated. */
export function StepUp() {
  const [open, setOpen] = useState(false);
  const answer = useRef<((proven: boolean) => void) | null>(null);
  const asking = useRef<Promise<boolean> | null>(null);
  useEffect(
    () =>
      whenAsked({
        stepUp: () => {
          // Two requests at once are answered by one proof.
          asking.current ??= new Promise<boolean>((resolve) => {
            answer.current = resolve;
            setOpen(true);
          });
          return asking.current;
        },
      }),
    [],
  );
  const end = (proven: boolean) => {
    answer.current?.(proven);
    answer.current = null;
    asking.current = null;
    setOpen(false);
  };
  return open ? <Proof onEnd={end} /> : null;
}

function Proof({ onEnd }: { onEnd: (proven: boolean) => void }) {
  const styles = useStyles();
  useReturn(true);
  const refresh = useRefreshSession();
  const navigate = useNavigate();
  const { data: session } = useSessionQuery();
  const [code, setCode] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const prove = async (how: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    try {
      await how();
      onEnd(true);
    } catch (refused) {
      setError(refused instanceof DOMException ? new Error(explain(refused)) : refused);
      setBusy(false);
    }
  };
  // Signed in by the organisation's own sign-in, or in the demonstration.
  const none = session !== undefined && !session.factors.totp && session.factors.passkeys === 0;
  const email = session?.authenticatedBy === 'oidc' ? session.person.email : null;
  const { data: options } = useQuery({
    queryKey: ['sign-in', 'options', email],
    queryFn: () => read(api.GET('/api/v1/sign-in/options', { params: { query: { email: email ?? '' } } })),
    enabled: email !== null,
  });
  const provider = email === null ? null : options?.provider;
  const here = `${window.location.pathname}${window.location.search}`;
  const withCode = () =>
    prove(async () => refresh(await read(api.POST('/api/v1/session/step-up/totp', { body: { code: code.trim() } }))));
  const withKey = () =>
    prove(async () => {
      const begun = await read(api.POST('/api/v1/session/step-up/passkey/begin', { body: {} }));
      const credential = await get(begun.publicKey);
      refresh(
        await read(api.POST('/api/v1/session/step-up/passkey/finish', { body: { flow: begun.flow, credential } })),
      );
    });
  return (
    <Dialog open onOpenChange={(_, data) => !data.open && onEnd(false)}>
      <DialogSurface>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (code.trim()) void withCode();
          }}
        >
          <DialogBody>
            <DialogTitle>Confirm that it is you</DialogTitle>
            <DialogContent className={styles.content}>
              <div>
                {none
                  ? 'What you are about to do needs a fresh sign-in, and you have no second factor here. Sign in again, then repeat it; what you have entered is not kept.'
                  : 'What you are about to do matters, so a second factor is asked for once more.'}
              </div>
              {session?.factors.totp && (
                <Field label="Code" hint="Six digits from your authenticator app">
                  <Input
                    value={code}
                    onChange={(_, data) => setCode(data.value)}
                    autoComplete="one-time-code"
                    inputMode="numeric"
                  />
                </Field>
              )}
              {supported() && session && session.factors.passkeys > 0 && (
                <Button icon={<KeyRegular />} onClick={withKey} disabledFocusable={busy}>
                  Use a passkey
                </Button>
              )}
              {provider && !none && (
                <Button onClick={() => window.location.assign(providerPath(provider.id, here, true))} disabledFocusable={busy}>
                  Sign in again with {provider.name}
                </Button>
              )}
              <Failure error={error} />
            </DialogContent>
            <DialogActions>
              <Button onClick={() => onEnd(false)}>Cancel</Button>
              {none ? (
                <Button
                  appearance="primary"
                  onClick={() => {
                    onEnd(false);
                    if (provider) window.location.assign(providerPath(provider.id, here, true));
                    else navigate(`/sign-in?return=${encodeURIComponent(here)}`);
                  }}
                >
                  {provider ? `Sign in again with ${provider.name}` : 'Sign in again'}
                </Button>
              ) : (
                <Button appearance="primary" type="submit" disabledFocusable={busy || !code.trim()}>
                  {busy ? 'Checking…' : 'Confirm'}
                </Button>
              )}
            </DialogActions>
          </DialogBody>
        </form>
      </DialogSurface>
    </Dialog>
  );
}
