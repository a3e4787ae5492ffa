import { Button, Checkbox, Field, Input, makeStyles, tokens } from '@fluentui/react-components';
import { ArrowDownloadRegular, KeyRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useLocation, useNavigate, useParams } from 'react-router';

import { api, read } from '../api/client';
import { Refusal } from '../api/error';
import type { Invitation, Session } from '../api/hand';
import { create, explain, supported } from '../api/passkey';
import { useTakeSession } from '../api/session';
import { CopyButton, CopyText } from '../ui/Copy';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { Frame } from './Frame';
import { CodeField, Form, Or, useFormStyles } from './form';

const useStyles = makeStyles({
  qr: {
    alignSelf: 'center',
    width: '200px',
    height: '200px',
    padding: '8px',
    // A camera reads dark on light only.
    backgroundColor: '#ffffff',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
  },
  codes: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fill, minmax(150px, 1fr))',
    gap: '6px',
    margin: 0,
    padding: '14px',
    listStyleType: 'none',
    fontFamily: tokens.fontFamilyMonospace,
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusLarge,
  },
  row: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  text: { margin: 0, color: tokens.colorNeutralForeground2 },
});

type Step =
  | { name: 'choose' }
  | { name: 'totp'; flow: string; totp: { secret: string; uri: string; svg: string } }
  | { name: 'codes'; session: Session; codes: string[] };

/** The page of a single-use link: a name, a password with an authenticator app, or a passkey. */
export default function Setup() {
  const { token: inPath } = useParams();
  const { hash } = useLocation();
  // The fragment is never sent to a server, so the token ends up in no log.
  const [token] = useState(() => inPath ?? hash.replace(/^#/, ''));
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
  return <Steps token={token} invitation={invitation.data} />;
}

function Steps({ token, invitation }: { token: string; invitation: Invitation }) {
  const styles = useStyles();
  const forms = useFormStyles();
  const navigate = useNavigate();
  const take = useTakeSession();
  const [step, setStep] = useState<Step>({ name: 'choose' });
  const [name, setName] = useState(invitation.name ?? '');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [keyError, setKeyError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const finish = (session: Session) => {
    take(session);
    navigate('/', { replace: true });
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
      <Frame title="Add an authenticator app" lead="Scan this with the app, then enter the code it shows.">
        <img
          className={styles.qr}
          src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(step.totp.svg)}`}
          alt="QR code for your authenticator app"
        />
        <Field label="Cannot scan? Enter this key in the app">
          <CopyText text={step.totp.secret} label="Copy the key" />
        </Field>
        <Form
          act="Finish"
          ready={code.trim().length >= 6}
          onAct={async () => {
            const { recoveryCodes, ...session } = await read(
              api.POST('/api/v1/setup/totp', { body: { flow: step.flow, code: code.trim() } }),
            );
            setStep({ name: 'codes', session, codes: recoveryCodes });
          }}
        >
          <CodeField value={code} onChange={setCode} />
        </Form>
      </Frame>
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
          setStep({ name: 'totp', flow: begun.flow, totp: begun.totp });
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

function RecoveryCodes({ codes, email, onDone }: { codes: string[]; email: string; onDone: () => void }) {
  const styles = useStyles();
  const [kept, setKept] = useState(false);
  const [file, setFile] = useState('');
  const text = codes.join('\n');
  useEffect(() => {
    const url = URL.createObjectURL(
      new Blob([`Riposte recovery codes of ${email}\nEach works once.\n\n${text}\n`], { type: 'text/plain' }),
    );
    setFile(url);
    return () => URL.revokeObjectURL(url);
  }, [text, email]);
  return (
    <Frame title="Keep your recovery codes" lead="Each lets you in once when you have lost your authenticator app.">
      <Notice intent="warning">They are shown this once and never again.</Notice>
      <ul className={styles.codes}>
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <div className={styles.row}>
        <CopyButton text={text} label="Copy the codes">
          Copy
        </CopyButton>
        <Button as="a" icon={<ArrowDownloadRegular />} href={file} download="riposte-recovery-codes.txt">
          Download
        </Button>
      </div>
      <Checkbox
        label="I have put them somewhere safe"
        checked={kept}
        onChange={(_, data) => setKept(Boolean(data.checked))}
      />
      <Button appearance="primary" disabledFocusable={!kept} onClick={onDone}>
        Go to Riposte
      </Button>
    </Frame>
  );
}
