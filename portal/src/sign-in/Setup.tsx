import { Field, Input, makeStyles, tokens } from '@fluentui/react-components';
import { KeyRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation, useNavigate, useParams } from 'react-router';

import { api, read } from '../api/client';
import { Refusal } from '../api/error';
import type { Enrolment, Invitation, Session } from '../api/hand';
import { create, explain, supported } from '../api/passkey';
import { useTakeSession } from '../api/session';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Empty, Failure, Waiting } from '../ui/states';
import { RecoveryCodes, ScanApp } from './Authenticator';
import { Frame } from './Frame';
import { Form, Or, useFormStyles } from './form';

const useStyles = makeStyles({
  text: { margin: 0, color: tokens.colorNeutralForeground2 },
});

type Step =
  | { name: 'choose' }
  | { name: 'totp'; enrolment: Enrolment }
  | { name: 'codes'; session: Session; codes: string[] };

/** The page of a single-use link: a name, a password with an authenticator app, or a passkey. */
export default function Setup() {
  const { token: inPath } = useParams();
  const { hash } = useLocation();
  // The fragment is never sent to a server, so the token ends up in no log.
  const token = inPath ?? hash.replace(/^#/, '');
  const invitation = useQuery({
    queryKey: ['setup', token],
    queryFn: () => read(api.POST('/api/v1/setup/look', { body: { token } })),
    enabled: token !== '',
    staleTime: Infinity,
    retry: false,
  });
  const gone = !token || (invitation.error instanceof Refusal && invitation.error.status === 404);
  if (gone) {
    return (
      <Frame title="This link does not work any more">
        <Empty title="It was used, has expired, or is incomplete">
          A link works once and for a limited time. Ask the person who invited you for a new one.
        </Empty>
      </Frame>
    );
  }
  if (!invitation.data) {
    return (
      <Frame title="Set up your account">
        {invitation.error ? (
          <Failure error={invitation.error} retry={() => void invitation.refetch()} />
        ) : (
          <Waiting rows={4} />
        )}
      </Frame>
    );
  }
  // A newer link in the same window is another invitation.
  return <Steps key={token} token={token} invitation={invitation.data} />;
}

function Steps({ token, invitation }: { token: string; invitation: Invitation }) {
  const styles = useStyles();
  const forms = useFormStyles();
  const navigate = useNavigate();
  const take = useTakeSession();
  const [step, setStep] = useState<Step>({ name: 'choose' });
  const [name, setName] = useState(invitation.name ?? '');
  const [password, setPassword] = useState('');
  const [keyError, setKeyError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const finish = (session: Session) => {
    take(session);
    navigate(session.organisation.stage === 'invited' ? '/onboarding' : '/', { replace: true });
  };
  const passkey = async () => {
    setBusy(true);
    setKeyError(null);
    try {
      const begun = await read(api.POST('/api/v1/setup/passkey/begin', { body: { token, name: name.trim() } }));
      const credential = await create(begun.publicKey);
      finish(await read(api.POST('/api/v1/setup/passkey/finish', { body: { flow: begun.flow, credential } })));
    } catch (error) {
      setKeyError(error instanceof Refusal ? error : new Error(explain(error)));
    } finally {
      setBusy(false);
    }
  };

  if (step.name === 'codes') {
    return <RecoveryCodes codes={step.codes} email={invitation.email} onDone={() => finish(step.session)} />;
  }
  if (step.name === 'totp') {
    return (
      <ScanApp
        enrolment={step.enrolment}
        onCode={async (flow, code) => {
          const { recoveryCodes, ...session } = await read(api.POST('/api/v1/setup/totp', { body: { flow, code } }));
          setStep({ name: 'codes', session, codes: recoveryCodes });
        }}
      />
    );
  }
  return (
    <Frame
      title="Set up your account"
      lead={
        <>
          {invitation.email} · {invitation.role} at {invitation.organisation}. The link works until{' '}
          <Moment at={invitation.expiresDateTime} />.
        </>
      }
    >
      <Field label="Your name" required>
        <Input value={name} onChange={(_, data) => setName(data.value)} autoComplete="name" maxLength={120} />
      </Field>
      <GuardedButton
        appearance="primary"
        className={forms.stretch}
        icon={<KeyRegular />}
        busy={busy}
        may={
          !supported()
            ? { allowed: false, because: 'This browser knows no passkeys.' }
            : name.trim()
              ? invitation.passkeys
              : { allowed: false, because: 'Enter your name first.' }
        }
        onClick={passkey}
      >
        {busy ? 'Waiting for the passkey…' : 'Create a passkey'}
      </GuardedButton>
      <p className={styles.text}>A passkey signs you in with your fingerprint, face or PIN and cannot be phished.</p>
      <Failure error={keyError} />
      <Or />
      <Form
        act="Continue with a password"
        ready={name.trim() !== '' && password !== ''}
        onAct={async () => {
          const begun = await read(
            api.POST('/api/v1/setup/password', { body: { token, name: name.trim(), password } }),
          );
          setPassword('');
          setStep({ name: 'totp', enrolment: begun });
        }}
      >
        <input type="text" hidden readOnly autoComplete="username" value={invitation.email} />
        <Field label="Password" hint="At least 15 characters: several words that do not belong together">
          <Input
            type="password"
            autoComplete="new-password"
            value={password}
            onChange={(_, data) => setPassword(data.value)}
          />
        </Field>
      </Form>
    </Frame>
  );
}
