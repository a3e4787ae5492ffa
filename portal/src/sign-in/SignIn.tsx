import { Button, Field, Input, Link as Anchor, makeStyles, tokens } from '@fluentui/react-components';
import { KeyRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';

import { api, read } from '../api/client';
import type { DemoPerson, Session } from '../api/hand';
import { supported } from '../api/passkey';
import { useTakeSession } from '../api/session';
import { GuardedButton } from '../ui/Guarded';
import { Failure, Notice, PageWaiting } from '../ui/states';
import { Frame } from './Frame';
import { CodeField, Form, Or, useFormStyles } from './form';
import { usePasskey } from './passkey';
import { providerPath, returnPath } from './where';

const Next = lazy(() => import('./Next'));

const useStyles = makeStyles({
  people: { display: 'flex', flexDirection: 'column', gap: '8px', listStyleType: 'none', margin: 0, padding: 0 },
  person: {
    display: 'flex',
    flexDirection: 'column',
    alignItems: 'flex-start',
    gap: '2px',
    width: '100%',
    textAlign: 'start',
    font: 'inherit',
    color: tokens.colorNeutralForeground1,
    padding: '10px 12px',
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorNeutralBackground1,
    cursor: 'pointer',
    ':hover': { backgroundColor: tokens.colorNeutralBackground1Hover },
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: '1px' },
  },
  name: { fontWeight: tokens.fontWeightSemibold },
  what: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
  side: { margin: '0 0 8px', fontSize: tokens.fontSizeBase300, color: tokens.colorNeutralForeground2, fontWeight: tokens.fontWeightSemibold },
});

type Provider = { id: string; name: string };
type Step =
  | { name: 'who' }
  | { name: 'provider'; email: string; provider: Provider }
  | { name: 'password'; email: string }
  | { name: 'code'; flow: string; email: string };

export default function SignIn() {
  const forms = useFormStyles();
  const { search, hash } = useLocation();
  const params = new URLSearchParams(search);
  const next = params.get('next');
  const navigate = useNavigate();
  const take = useTakeSession();
  const [step, setStep] = useState<Step>({ name: 'who' });
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const options = useQuery({
    queryKey: ['sign-in', 'options'],
    queryFn: () => read(api.GET('/api/v1/sign-in/options', { params: { query: { email: '' } } })),
    staleTime: Infinity,
  });
  const goOn = (session: Session) => {
    take(session);
    navigate(returnPath(search), { replace: true });
  };
  const passkey = usePasskey(goOn);
  const passkeys = supported()
    ? options.data?.passkeys
    : { allowed: false, because: 'This browser knows no passkeys.' };

  if (next) {
    return (
      <Suspense fallback={<PageWaiting />}>
        <Next
          next={next}
          flow={hash.replace(/^#/, '')}
          onDone={goOn}
          onAgain={() => {
            const back = returnPath(search);
            navigate(back === '/' ? '/sign-in' : `/sign-in?return=${encodeURIComponent(back)}`, { replace: true });
          }}
        />
      </Suspense>
    );
  }
  if (step.name === 'code') {
    return (
      <Frame title="Confirm that it is you" lead={step.email}>
        <Form
          act="Sign in"
          ready={code.trim().length >= 6}
          onAct={async () =>
            goOn(await read(api.POST('/api/v1/sign-in/totp', { body: { flow: step.flow, code: code.trim() } })))
          }
        >
          <CodeField value={code} onChange={setCode} recovery />
        </Form>
        <Anchor as="button" onClick={() => setStep({ name: 'who' })}>
          Start again
        </Anchor>
      </Frame>
    );
  }
  if (step.name === 'provider') {
    return (
      <Frame title="Sign in" lead={step.email}>
        <Button
          appearance="primary"
          className={forms.stretch}
          onClick={() => window.location.assign(providerPath(step.provider.id, returnPath(search)))}
        >
          Continue with {step.provider.name}
        </Button>
        <Anchor as="button" onClick={() => setStep({ name: 'password', email: step.email })}>
          Use a password instead
        </Anchor>
        <Anchor as="button" onClick={() => setStep({ name: 'who' })}>
          Use another account
        </Anchor>
      </Frame>
    );
  }
  if (step.name === 'password') {
    return (
      <Frame title="Enter your password" lead={step.email}>
        <Form
          act="Continue"
          ready={password !== ''}
          onAct={async () => {
            const begun = await read(
              api.POST('/api/v1/sign-in/password', { body: { email: step.email, password } }),
            );
            setPassword('');
            setCode('');
            setStep({ name: 'code', flow: begun.flow, email: step.email });
          }}
        >
          <input type="text" hidden readOnly autoComplete="username" value={step.email} />
          <Field label="Password">
            <Input
              type="password"
              autoComplete="current-password"
              value={password}
              onChange={(_, data) => setPassword(data.value)}
              ref={(input) => {
                if (password === '') input?.focus();
              }}
            />
          </Field>
        </Form>
        <Anchor as="button" onClick={() => setStep({ name: 'who' })}>
          Use another account
        </Anchor>
      </Frame>
    );
  }
  return (
    <Frame title="Sign in">
      {params.get('failed') === 'oidc' && (
        <Notice intent="warning" title="That did not work">
          Your organisation&rsquo;s sign-in did not let you in here. Try again; if it keeps happening, ask your
          administrator.
        </Notice>
      )}
      <DemoPeople onDone={goOn} />
      <Form
        act="Continue"
        onAct={async () => {
          const known = await read(
            api.GET('/api/v1/sign-in/options', { params: { query: { email: email.trim() } } }),
          );
          const { provider } = known;
          setStep(
            provider
              ? { name: 'provider', email: email.trim(), provider }
              : { name: 'password', email: email.trim() },
          );
        }}
      >
        <Field label="Work e-mail">
          <Input
            type="email"
            required
            autoComplete="username webauthn"
            value={email}
            onChange={(_, data) => setEmail(data.value)}
          />
        </Field>
      </Form>
      <Or />
      <GuardedButton
        may={options.isError ? { allowed: false, because: 'The server did not say whether passkeys work here.' } : passkeys}
        busy={passkey.busy}
        className={forms.stretch}
        icon={<KeyRegular />}
        onClick={passkey.ask}
      >
        {passkey.busy ? 'Waiting for the passkey…' : 'Sign in with a passkey'}
      </GuardedButton>
      <Failure error={passkey.error} />
    </Frame>
  );
}

/** Invented people of the demonstration; the server offers them only there. */
function DemoPeople({ onDone }: { onDone: (session: Session) => void }) {
  const styles = useStyles();
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState<string | null>(null);
  const demo = useQuery({
    queryKey: ['sign-in', 'demo'],
    queryFn: () => read(api.GET('/api/v1/sign-in/demo')),
    staleTime: Infinity,
    retry: false,
  });
  if (!demo.data?.people?.length) return null;
  const organisations = [...new Set(demo.data.people.map((person) => person.organisation))];
  const enter = async (person: DemoPerson) => {
    setBusy(person.id);
    setError(null);
    try {
      onDone(await read(api.POST('/api/v1/sign-in/demo', { body: { id: person.id } })));
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(null);
    }
  };
  return (
    <>
      {organisations.map((organisation) => (
        <section key={organisation} aria-label={organisation}>
          <h2 className={styles.side}>{organisation}</h2>
          <ul className={styles.people}>
            {demo.data.people
              .filter((person) => person.organisation === organisation)
              .map((person) => (
                <li key={person.id}>
                  <button type="button" className={styles.person} disabled={busy !== null} onClick={() => enter(person)}>
                    <span className={styles.name}>{busy === person.id ? 'Signing in…' : person.name}</span>
                    <span className={styles.what}>{person.role}</span>
                  </button>
                </li>
              ))}
          </ul>
        </section>
      ))}
      <Failure error={error} />
      <Or />
    </>
  );
}
