import { Button, Field, Input, Textarea, type ButtonProps } from '@fluentui/react-components';
import { ChatHelpRegular } from '@fluentui/react-icons';
import { useState } from 'react';

import { useAskExperts } from '../api/ask';
import type { About, Conversation } from '../api/hand';
import { useSession } from '../api/session';
import { Ask } from './Ask';
import { Facts } from './Facts';
import { useToasts } from './Toasts';

const ABOUT: Record<About['kind'], string> = { incident: 'Incident', alert: 'Alert', device: 'Device', file: 'File', user: 'User' };

type Props = {
  /** What the question is about; it goes with it. */
  about?: About;
  onClose: () => void;
  /** Absent where people stay where they are. */
  onAsked?: (made: Conversation) => void;
};

/** ASK-1: a question to the experts, with what it is about attached. */
function AskDialog({ about, onClose, onAsked }: Props) {
  const toasts = useToasts();
  const ask = useAskExperts();
  // Sent again after a lost answer, it is the same question.
  const [key] = useState(() => crypto.randomUUID());
  const [subject, setSubject] = useState('');
  const [text, setText] = useState('');
  return (
    <Ask
      open
      title="Ask the experts"
      act="Send"
      ready={subject.trim() !== '' && text.trim() !== ''}
      onClose={onClose}
      onAct={async () => {
        const made = await ask({ subject: subject.trim(), text: text.trim(), ...(about && { about }) }, key);
        toasts.done(`${made.subject ?? made.id}: your question has reached the experts. It stands under Messages.`);
        onAsked?.(made);
      }}
    >
      {about && <Facts facts={[['About', `${ABOUT[about.kind]} ${about.name}`]]} />}
      <Field label="Subject" required>
        <Input value={subject} maxLength={200} onChange={(_, data) => setSubject(data.value)} />
      </Field>
      <Field label="Question" required hint="What you saw, where, and what you want to know. Files are not sent here.">
        <Textarea value={text} rows={6} maxLength={10_000} onChange={(_, data) => setText(data.value)} />
      </Field>
    </Ask>
  );
}

/** The button for it, for who is a customer: experts are asked and do not ask. */
export function AskExperts({ about, onAsked, ...rest }: Pick<Props, 'about' | 'onAsked'> & Pick<ButtonProps, 'appearance' | 'size'>) {
  const { side } = useSession();
  const [asking, setAsking] = useState(false);
  if (side !== 'customer') return null;
  return (
    <>
      <Button {...rest} icon={<ChatHelpRegular />} onClick={() => setAsking(true)}>
        Ask the experts
      </Button>
      {asking && <AskDialog {...(about && { about })} {...(onAsked && { onAsked })} onClose={() => setAsking(false)} />}
    </>
  );
}
