import { Button, Field, Textarea, makeStyles } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import { Refusal } from '../api/error';
import type { DemoMail } from '../api/hand';
import { Facts } from '../ui/Facts';
import { MailSheet, MailText } from '../ui/Mail';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Panel } from '../ui/Panel';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Waiting } from '../ui/states';

const useStyles = makeStyles({
  to: { overflowWrap: 'anywhere' },
  form: { display: 'flex', flexDirection: 'column', alignItems: 'flex-start', gap: '12px', '& > *': { maxWidth: '100%' } },
  field: { width: '100%' },
});

/** Somebody watches it to see a mail come in. */
const EVERY_MS = 3_000;

/** One that was sent again has the id that it had. */
const keyOf = (mail: DemoMail) => `${mail.receivedDateTime} ${mail.id ?? ''}`;
const subjectOf = (mail: DemoMail) => mail.subject ?? 'No subject';

/** Where the demo's mails end, instead of with anybody. */
export default function Mailbox() {
  const styles = useStyles();
  const [params, setParams] = useSearchParams();
  const mails = useQuery({
    queryKey: ['demo', 'mails'],
    queryFn: ({ signal }) => read(api.GET('/api/v1/demo/mails', { signal })),
    refetchInterval: ({ state }) => (state.error ? false : EVERY_MS),
    retry: false,
  });
  const open = params.get('open');
  const show = (id: string | null) => setParams(id ? { open: id } : {}, { replace: true });
  const mail = mails.data?.value.find((one) => keyOf(one) === open);
  const columns: Column<DemoMail>[] = [
    { id: 'subject', label: 'Subject', lead: true, cell: subjectOf },
    { id: 'to', label: 'To', cell: (row) => <span className={styles.to}>{row.to.join(', ')}</span> },
    { id: 'at', label: 'Received', nowrap: true, cell: (row) => <Moment at={row.receivedDateTime} as="second" /> },
  ];
  const missing = mails.error instanceof Refusal && mails.error.status === 404;
  return (
    <Page title="Mailbox" lead="The demo’s mails go to invented people. Each one ends here, the newest first.">
      {mails.isPending ? (
        <Waiting rows={6} label="Loading mails" />
      ) : missing ? (
        <Empty title="There is no mailbox here">Only the demo has one; here mails go to their receivers.</Empty>
      ) : mails.isError && !mails.data ? (
        <Failure error={mails.error} retry={() => void mails.refetch()} />
      ) : !mails.data || mails.data.value.length === 0 ? (
        <Empty title="No mail has come in yet">
          Publish a managed response, write to the other side, or send a test to a contact under Settings, Notifications.
        </Empty>
      ) : (
        <Table
          label="Mails"
          columns={columns}
          rows={mails.data.value}
          id={keyOf}
          name={subjectOf}
          onOpen={(row) => show(keyOf(row))}
          href={(row) => `/demo/mailbox?open=${encodeURIComponent(keyOf(row))}`}
          current={open}
        />
      )}
      {mail && (
        <Panel title={subjectOf(mail)} open wide onClose={() => show(null)}>
          <Facts
            facts={[
              ['From', mail.from ?? '–'],
              ['To', mail.to.join(', ')],
              ['Received', <Moment key="at" at={mail.receivedDateTime} as="second" />],
            ]}
          />
          {mail.isAnswered && mail.id && <Reply key={mail.id} id={mail.id} to={mail.to.join(', ')} />}
          {mail.html && (
            <Section title="As a mail" plain>
              <MailSheet html={mail.html} label="The mail" links />
            </Section>
          )}
          {mail.text && (
            <Section title="As plain text" plain>
              <MailText text={mail.text} />
            </Section>
          )}
        </Panel>
      )}
    </Page>
  );
}

/** COM-8: an answer as the receiver would write it, which comes in as a mail. */
function Reply({ id, to }: { id: string; to: string }) {
  const styles = useStyles();
  const toasts = useToasts();
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const send = async () => {
    setBusy(true);
    setError(null);
    try {
      await read(api.POST('/api/v1/demo/mails/answer', { body: { id, text } }));
      setText('');
      toasts.done('Answered. It stands in the conversation now, and the experts see it.');
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title="Answer it" plain>
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() && !busy) void send();
        }}
      >
        <Field className={styles.field} label="Answer" hint={`As ${to} would, in a mail program. The answer comes back by mail.`}>
          <Textarea rows={3} resize="vertical" value={text} onChange={(_, data) => setText(data.value)} />
        </Field>
        <Failure error={error} />
        <Button type="submit" appearance="primary" disabledFocusable={busy || !text.trim()}>
          {busy ? 'Sending…' : 'Send the answer'}
        </Button>
      </form>
    </Section>
  );
}
