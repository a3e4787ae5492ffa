import { Field, Input, makeStyles } from '@fluentui/react-components';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { NotificationSettings, Webhook } from '../api/hand';
import { Ask } from '../ui/Ask';
import { CopyText } from '../ui/Copy';
import { Facts } from '../ui/Facts';
import { GuardedButton } from '../ui/Guarded';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { Health } from './Health';
import { useForget, useTest, useWebhooks } from './data';
import { healthOf } from './words';

const useStyles = makeStyles({
  list: { display: 'flex', flexDirection: 'column', gap: '16px', maxWidth: '960px' },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
});

type Drawn = { name: string; secret: string; former: boolean };

/** NOT-11: programs that are told, each message signed. */
export function Webhooks({ settings, adding, onAdded }: { settings: NotificationSettings; adding: boolean; onAdded: () => void }) {
  const styles = useStyles();
  const webhooks = useWebhooks();
  const forget = useForget();
  const [drawn, setDrawn] = useState<Drawn | null>(null);
  return (
    <>
      {webhooks.isPending ? (
        <Waiting rows={5} label="Loading webhooks" />
      ) : webhooks.isError ? (
        <Failure error={webhooks.error} retry={() => void webhooks.refetch()} />
      ) : webhooks.data.value.length === 0 ? (
        <Empty title="No program is told yet">
          A webhook brings each message about incidents to a program of yours, such as a SIEM or a ticket system, signed as Standard
          Webhooks describes.
        </Empty>
      ) : (
        <div className={styles.list}>
          {webhooks.data.value.map((webhook) => (
            <Shown key={webhook.id} webhook={webhook} settings={settings} onDrawn={setDrawn} />
          ))}
        </div>
      )}
      {adding && (
        <Add
          onClose={onAdded}
          onMade={(made) => {
            onAdded();
            void forget();
            if (made.secret) setDrawn({ name: made.name, secret: made.secret, former: false });
          }}
        />
      )}
      {drawn && (
        <Ask open title={`Secret of ${drawn.name}`} act="Done" shows onClose={() => setDrawn(null)} onAct={async () => undefined}>
          <Notice intent="warning">It is shown this once and never again. The program needs it to check who signed a message.</Notice>
          <CopyText text={drawn.secret} label="Copy the secret" />
          {drawn.former && <span>For 24 hours messages are signed with the former secret as well.</span>}
        </Ask>
      )}
    </>
  );
}

function Shown({ webhook, settings, onDrawn }: { webhook: Webhook; settings: NotificationSettings; onDrawn: (drawn: Drawn) => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForget();
  const test = useTest();
  const [open, setOpen] = useState<'rename' | 'rotate' | 'remove' | null>(null);
  const [busy, setBusy] = useState<'test' | 'pause' | null>(null);
  const [words, setWords] = useState('');
  const { id, name } = webhook;
  const paused = Boolean(webhook.pausedDateTime);
  const may = settings.may.change;
  const path = { path: { id } };
  const pause = async (wanted: boolean) => {
    setBusy('pause');
    try {
      await read(api.PATCH('/api/v1/webhooks/{id}', { params: path, body: { paused: wanted } }));
      toasts.done(wanted ? `${name} is paused.` : `${name} is told again.`);
    } catch (refused) {
      toasts.fail(refused);
    }
    await forget();
    setBusy(null);
  };
  const mayTest = may.allowed && paused ? { allowed: false, because: 'It is paused.' } : may;
  return (
    <Section
      title={name}
      actions={
        <div className={styles.acts}>
          <GuardedButton
            size="small"
            may={mayTest}
            busy={busy !== null}
            aria-label={`Send a test to ${name}`}
            onClick={async () => {
              setBusy('test');
              await test(name, () => read(api.POST('/api/v1/webhooks/{id}/test', { params: path, body: {} })));
              setBusy(null);
            }}
          >
            {busy === 'test' ? 'Sending…' : 'Send a test'}
          </GuardedButton>
          <GuardedButton size="small" may={may} busy={busy !== null} onClick={() => void pause(!paused)} aria-label={paused ? `Go on with ${name}` : `Pause ${name}`}>
            {paused ? 'Go on' : 'Pause'}
          </GuardedButton>
          <GuardedButton
            size="small"
            may={may}
            aria-label={`Rename ${name}`}
            onClick={() => {
              setWords(name);
              setOpen('rename');
            }}
          >
            Rename
          </GuardedButton>
          <GuardedButton size="small" may={may} onClick={() => setOpen('rotate')} aria-label={`New secret for ${name}`}>
            New secret
          </GuardedButton>
          <GuardedButton size="small" may={may} onClick={() => setOpen('remove')} aria-label={`Remove ${name}`}>
            Remove
          </GuardedButton>
        </div>
      }
    >
      <Facts
        facts={[
          [
            'State',
            paused ? <Mark key="state" look={{ label: 'Paused', color: 'warning' }} /> : <Health key="state" of={healthOf(settings.receivers, 'webhook', id)} what="message" />,
          ],
          ['Paused', paused && <Moment key="paused" at={webhook.pausedDateTime} />],
          ['Address', webhook.url],
          [
            'Secret',
            webhook.formerSecretUntilDateTime ? (
              <span key="secret">
                Kept encrypted; the former one signs as well until <Moment at={webhook.formerSecretUntilDateTime} />
              </span>
            ) : (
              'Kept encrypted and never shown again'
            ),
          ],
          [
            'Added',
            <span key="since">
              <Moment at={webhook.createdDateTime} /> by {webhook.createdBy}
            </span>,
          ],
        ]}
      />
      <Ask
        open={open === 'rename'}
        title={`Rename ${name}`}
        act="Rename"
        ready={words.trim() !== '' && words.trim() !== name}
        onClose={() => setOpen(null)}
        onAct={async () => {
          await read(api.PATCH('/api/v1/webhooks/{id}', { params: path, body: { name: words.trim() } }));
          void forget();
          toasts.done(`${words.trim()} is saved.`);
        }}
      >
        <Field label="Name" required hint="For another address add another webhook, which gets a secret of its own">
          <Input value={words} maxLength={200} onChange={(_, data) => setWords(data.value)} />
        </Field>
      </Ask>
      <Ask
        open={open === 'rotate'}
        title={`New secret for ${name}`}
        act="Make a new secret"
        onClose={() => setOpen(null)}
        onAct={async () => {
          const made = await read(api.POST('/api/v1/webhooks/{id}/rotate', { params: path, body: {} }));
          void forget();
          if (made.secret) onDrawn({ name, secret: made.secret, former: true });
        }}
      >
        <span>Give it to the program within 24 hours: until then messages are signed with both secrets.</span>
      </Ask>
      <Ask
        open={open === 'remove'}
        title={`Remove ${name}`}
        act={`Remove ${name}`}
        onClose={() => setOpen(null)}
        onAct={async () => {
          await read(api.DELETE('/api/v1/webhooks/{id}', { params: path }));
          void forget();
          toasts.done(`${name} is removed.`);
        }}
      >
        <span>Its secret is forgotten, and what waits for it is not sent any more.</span>
      </Ask>
    </Section>
  );
}

function Add({ onClose, onMade }: { onClose: () => void; onMade: (made: Webhook) => void }) {
  const [name, setName] = useState('');
  const [url, setUrl] = useState('');
  return (
    <Ask
      open
      title="Add a webhook"
      act="Add"
      ready={name.trim() !== '' && url.trim() !== ''}
      onClose={onClose}
      onAct={async () => {
        onMade(await read(api.POST('/api/v1/webhooks', { body: { name: name.trim(), url: url.trim() } })));
        return 'stay';
      }}
    >
      <Field label="Name" required>
        <Input value={name} maxLength={200} autoComplete="off" onChange={(_, data) => setName(data.value)} />
      </Field>
      <Field label="Address" required hint="An https address on the internet, to which messages are posted">
        <Input value={url} inputMode="url" autoComplete="off" onChange={(_, data) => setUrl(data.value)} />
      </Field>
    </Ask>
  );
}
