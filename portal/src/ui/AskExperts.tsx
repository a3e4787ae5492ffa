import { Button, Field, Input, Textarea, type ButtonProps } from '@fluentui/react-components';
import { ChatHelpRegular } from '@fluentui/react-icons';
import { useState } from 'react';

import { useAskExperts, useCredits } from '../api/ask';
import type { About, Conversation } from '../api/hand';
import { useSession } from '../api/session';
import { Ask } from './Ask';
import { Facts } from './Facts';
import { Moment } from './Moment';
import { useToasts } from './Toasts';
import { Notice } from './states';

const ABOUT: Record<About['kind'], string> = { incident: 'Incident', alert: 'Alert', device: 'Device', file: 'File', user: 'User' };

const MOST_TOLD = 5;

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
  const [told, setTold] = useState('');
  const credits = useCredits();
  const counted = credits.data?.rule === 'quarterly' ? credits.data : null;
  const spent = counted !== null && (counted.usable ?? 0) < 1;
  const notify = told.split(/[\s,;]+/).filter(Boolean);
  return (
    <Ask
      open
      title="Ask the experts"
      act="Send"
      ready={subject.trim() !== '' && text.trim() !== '' && !spent && notify.length <= MOST_TOLD}
      onClose={onClose}
      onAct={async () => {
        const made = await ask({ subject: subject.trim(), text: text.trim(), ...(about && { about }), ...(notify.length > 0 && { notify }) }, key);
        toasts.done(`${made.subject ?? made.id}: your question has reached the experts. It stands under Messages.`);
        onAsked?.(made);
      }}
    >
      {counted && (
        <Notice title={spent ? 'No credit can be used now' : `This costs one of ${counted.usable} credits`}>
          {spent
            ? `${counted.balance ? `${counted.usableEachQuarter} were used this quarter, which is the most.` : 'None is left.'} The chat of an incident costs nothing.`
            : 'What you write in this conversation afterwards costs nothing.'}
          {counted.nextDateTime && (
            <>
              {' '}
              The next ones come <Moment at={counted.nextDateTime} as="day" />.
            </>
          )}
        </Notice>
      )}
      {about && <Facts facts={[['About', `${ABOUT[about.kind]} ${about.name}`]]} />}
      <Field label="Subject" required>
        <Input value={subject} maxLength={200} onChange={(_, data) => setSubject(data.value)} />
      </Field>
      <Field label="Question" required hint="What you saw, where, and what you want to know. Files are not sent here.">
        <Textarea value={text} rows={6} maxLength={10_000} onChange={(_, data) => setText(data.value)} />
      </Field>
      <Field
        label="Who else hears of the answer"
        hint="Mail addresses, five at most. Your contacts hear of it anyway."
        {...(notify.length > MOST_TOLD && { validationState: 'error' as const, validationMessage: `${MOST_TOLD} addresses at most.` })}
      >
        <Input value={told} maxLength={1_500} onChange={(_, data) => setTold(data.value)} />
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
