import { Link as Anchor } from '@fluentui/react-components';
import { KeyRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Session } from '../api/hand';
import { supported } from '../api/passkey';
import { GuardedButton } from '../ui/Guarded';
import { Failure, Waiting } from '../ui/states';
import { RecoveryCodes, ScanApp } from './Authenticator';
import { Frame } from './Frame';
import { CodeField, Form, useFormStyles } from './form';
import { usePasskey } from './passkey';

type Props = {
  /** What comes after the identity provider's word. */
  next: string;
  /** The name of the step, as the address brought it. */
  flow: string;
  onDone: (session: Session) => void;
  /** Begins anew. */
  onAgain: () => void;
};

const LEAD = 'Your organisation has told us who you are. One more proof is needed here.';

/** The step after an identity provider's word that is not enough by itself. */
export default function Next({ next, flow, onDone, onAgain }: Props) {
  const forms = useFormStyles();
  const [code, setCode] = useState('');
  const passkey = usePasskey(onDone);
  if (next === 'enrol') return <Enrol flow={flow} onDone={onDone} onAgain={onAgain} />;
  return (
    <Frame title="Confirm that it is you" lead={LEAD}>
      {next === 'totp' ? (
        <Form
          act="Sign in"
          ready={code.trim().length >= 6}
          onAct={async () => onDone(await read(api.POST('/api/v1/sign-in/totp', { body: { flow, code: code.trim() } })))}
        >
          <CodeField value={code} onChange={setCode} recovery />
        </Form>
      ) : (
        <>
          <GuardedButton
            appearance="primary"
            className={forms.stretch}
            icon={<KeyRegular />}
            busy={passkey.busy}
            may={supported() ? { allowed: true } : { allowed: false, because: 'This browser knows no passkeys.' }}
            onClick={passkey.ask}
          >
            {passkey.busy ? 'Waiting for the passkey…' : 'Use your passkey'}
          </GuardedButton>
          <Failure error={passkey.error} />
        </>
      )}
      <Anchor as="button" onClick={onAgain}>
        Start again
      </Anchor>
    </Frame>
  );
}

/** Somebody who has no second factor yet sets an authenticator app up. */
function Enrol({ flow, onDone, onAgain }: Omit<Props, 'next'>) {
  const [made, setMade] = useState<{ session: Session; codes: string[] } | null>(null);
  const enrolment = useQuery({
    queryKey: ['sign-in', 'enrol', flow],
    queryFn: () => read(api.POST('/api/v1/sign-in/enrol', { body: { flow } })),
    // Asking again would draw another secret.
    staleTime: Infinity,
    retry: false,
  });
  if (made) return <RecoveryCodes codes={made.codes} email={made.session.person.email} onDone={() => onDone(made.session)} />;
  if (enrolment.data) {
    return (
      <ScanApp
        enrolment={enrolment.data}
        onCode={async (named, code) => {
          const { recoveryCodes, ...session } = await read(
            api.POST('/api/v1/sign-in/enrol/totp', { body: { flow: named, code } }),
          );
          setMade({ session, codes: recoveryCodes });
        }}
      />
    );
  }
  return (
    <Frame title="Add an authenticator app" lead={LEAD}>
      {enrolment.error ? <Failure error={enrolment.error} /> : <Waiting rows={4} />}
      <Anchor as="button" onClick={onAgain}>
        Start again
      </Anchor>
    </Frame>
  );
}
