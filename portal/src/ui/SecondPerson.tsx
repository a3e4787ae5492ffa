import { Button, Field, Textarea, makeStyles } from '@fluentui/react-components';
import { useState, type ReactNode } from 'react';

import { listed, waitsTold } from '../api/authority-words';
import type { ActionApproval } from '../api/hand';
import { Ask } from './Ask';
import { Facts } from './Facts';
import { GuardedButton, type Leave } from './Guarded';
import { JsonMore } from './Json';
import { Moment } from './Moment';
import { Thing } from './Thing';
import { useToasts } from './Toasts';
import { Notice } from './states';
import { local, localHour } from './time';

const useStyles = makeStyles({
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  text: { margin: 0 },
  line: { display: 'block' },
});

/** Something that one person wants done and another has to agree to. */
export type Asked = {
  /** What and on what, short enough for a heading. */
  title: string;
  what: string;
  explains: string | null;
  asset: { kind: string; name: string };
  how: [name: string, value: string][];
  by: string;
  at: string;
  until: string;
  /** Whose approvals it waits for, and who has approved. */
  approval: ActionApproval | null;
  why: string | null;
  /** All of it, as programs exchange it. */
  exact: unknown;
  /** Another one whenever anything of it is. */
  mark: string;
  waits: boolean;
  may: { approve: Leave; reject: Leave };
};

/** What exactly would be done, who asked for it, and until when it waits. */
export function AskedFacts({ asked, brief }: { asked: Asked; brief?: boolean }) {
  return (
    <Facts
      facts={[
        ['What', asked.what],
        ['Asset', <Thing key="a" kind={asked.asset.kind} name={asked.asset.name} />],
        ...asked.how,
        [
          'Asked for by',
          <span key="b">
            {asked.by}, <Moment at={asked.at} as={brief ? 'minute' : 'second'} />
          </span>,
        ],
        ['Why', asked.why],
        ...waitFacts(asked.approval, asked.until),
      ]}
    />
  );
}

/** What an action waits for, by which rule, and who has approved it. */
export function waitFacts(approval: ActionApproval | null, until: string): [string, ReactNode][] {
  if (!approval || approval.needs.length === 0) return [['Waits until', <Moment key="u" at={until} />]];
  return [
    ['Waits for', <Lines key="n" all={waitsTold(approval, short)} />],
    ['By the rule', listed([...new Set(approval.needs.map((need) => need.title))])],
    ['Approved by', listed(approval.given.map((one) => one.by))],
  ];
}

/** A moment of today by its hour, another with its day. */
function short(moment: string): string {
  const at = new Date(moment);
  return at.toDateString() === new Date().toDateString() ? localHour(at) : local(at);
}

function Lines({ all }: { all: string[] }) {
  const styles = useStyles();
  return all.map((one) => (
    <span key={one} className={styles.line}>
      {one}
    </span>
  ));
}

/**
 * The second person's two answers. What is agreed to is what was shown when the dialog came up: when
 * it changes under the reader, it has to be looked at again.
 */
export function SecondPerson({
  asked,
  small,
  onApprove,
  onReject,
}: {
  asked: Asked;
  small?: boolean;
  onApprove: (mark: string) => Promise<unknown>;
  onReject: (because: string) => Promise<unknown>;
}) {
  const styles = useStyles();
  const toasts = useToasts();
  const [shown, setShown] = useState<Asked | null>(null);
  const [rejecting, setRejecting] = useState(false);
  const [because, setBecause] = useState('');
  const name = asked.title;
  const size = small ? 'small' : 'medium';
  return (
    <>
      {asked.waits && (
        <div className={styles.acts}>
          <GuardedButton appearance="primary" size={size} may={asked.may.approve} onClick={() => setShown(asked)}>
            Approve
          </GuardedButton>
          <GuardedButton size={size} may={asked.may.reject} onClick={() => setRejecting(true)}>
            Reject
          </GuardedButton>
        </div>
      )}
      {shown && (
        <Ask
          key={shown.mark}
          open
          title={`Approve: ${shown.title}`}
          act="Approve"
          ready={asked.waits && asked.mark === shown.mark}
          onClose={() => setShown(null)}
          onAct={async () => {
            await onApprove(shown.mark);
            toasts.done(`${name} is approved.`);
          }}
        >
          {!asked.waits ? (
            <Notice intent="warning">It does not wait for approval any more.</Notice>
          ) : asked.mark !== shown.mark ? (
            <Notice
              intent="warning"
              title="It has changed since it was shown here"
              action={
                <Button size="small" onClick={() => setShown(asked)}>
                  Show it as it is now
                </Button>
              }
            >
              Nothing was approved.
            </Notice>
          ) : (
            shown.explains && <p className={styles.text}>{shown.explains}</p>
          )}
          <AskedFacts asked={shown} />
          <JsonMore label="Exactly what is approved" value={shown.exact} />
        </Ask>
      )}
      {rejecting && (
        <Ask
          open
          title={`Reject: ${name}`}
          act="Reject"
          ready={because.trim() !== '' && asked.waits}
          onClose={() => setRejecting(false)}
          onAct={async () => {
            await onReject(because.trim());
            toasts.done(`${name} is rejected.`);
          }}
        >
          <span>
            Nothing is done to <strong>{asked.asset.name}</strong>. {asked.by} asked for it and reads your reason.
          </span>
          <Field label="Why" required>
            <Textarea value={because} maxLength={4000} onChange={(_, data) => setBecause(data.value)} />
          </Field>
        </Ask>
      )}
    </>
  );
}
