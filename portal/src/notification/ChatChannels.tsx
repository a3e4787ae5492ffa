import { Field, Input, makeStyles, mergeClasses, tokens } from '@fluentui/react-components';
import { useState } from 'react';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { ChatChannel, ChatChannelChoice, ChatVendor, Letter, May, NotificationSettings } from '../api/hand';
import { Ask } from '../ui/Ask';
import { Choices } from '../ui/Choices';
import { CopyText } from '../ui/Copy';
import { Facts } from '../ui/Facts';
import { FormPanel } from '../ui/FormPanel';
import { GuardedButton } from '../ui/Guarded';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { Health } from './Health';
import { MakeTeam } from './MakeTeam';
import { useChatChannels, useForget, usePreview, useTest } from './data';
import { CHAT_FIELDS, CHAT_STEPS, VENDORS, healthOf, languageName, settingOf, teamsChannel } from './words';

const useStyles = makeStyles({
  list: { display: 'flex', flexDirection: 'column', gap: '16px', maxWidth: '960px' },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  card: {
    display: 'flex',
    flexDirection: 'column',
    gap: '8px',
    maxWidth: '560px',
    padding: '12px 16px',
    overflowWrap: 'anywhere',
    backgroundColor: tokens.colorNeutralBackground2,
    borderLeft: `4px solid ${tokens.colorBrandStroke1}`,
    borderRadius: tokens.borderRadiusMedium,
    '& > *': { margin: 0 },
  },
  below: { marginInlineStart: '24px', borderLeftColor: tokens.colorNeutralStroke1 },
  heading: { fontWeight: tokens.fontWeightSemibold },
  items: { paddingInlineStart: '20px' },
  quote: { paddingInlineStart: '12px', borderLeft: `3px solid ${tokens.colorNeutralStroke1}`, whiteSpace: 'pre-wrap' },
  small: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2 },
  // It looks like the button that stands there, and leads nowhere.
  button: {
    alignSelf: 'flex-start',
    padding: '4px 12px',
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    borderRadius: tokens.borderRadiusMedium,
    fontWeight: tokens.fontWeightSemibold,
  },
});

const CHOICES = (Object.keys(VENDORS) as ChatVendor[]).map((value) => ({ value, label: VENDORS[value] }));

/** COM-5, COM-7, NOT-8: channels of the customer's own team chat, and its PagerDuty. */
export function ChatChannels({ settings, adding, onAdded }: { settings: NotificationSettings; adding: boolean; onAdded: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForget();
  const channels = useChatChannels();
  return (
    <>
      {channels.isPending ? (
        <Waiting rows={5} label="Loading chat channels" />
      ) : channels.isError ? (
        <Failure error={channels.error} retry={() => void channels.refetch()} />
      ) : channels.data.value.length === 0 ? (
        <Empty title="No channel is connected yet">
          Connect a channel of Slack, Microsoft Teams, Mattermost or Matrix: each incident with a managed response gets one post there, and what
          your people answer below it reaches the experts. Or connect PagerDuty, and who is on call is called when an incident waits for you.
        </Empty>
      ) : (
        <div className={styles.list}>
          {channels.data.value.map((channel) => (
            <Shown key={channel.id} channel={channel} settings={settings} />
          ))}
        </div>
      )}
      <Section title="What a post looks like" plain>
        <Preview kind="responsePublished" />
        <Preview kind="messageFromExperts" below />
        <Page />
        <span className={styles.small}>
          The names are invented. Buttons lead to the portal, where people sign in; nothing is ever carried out in the chat itself.
        </span>
      </Section>
      {adding && (
        <Form
          title="Connect a channel"
          act="Connect"
          languages={settings.languages}
          onClose={onAdded}
          onAct={async (vendor, choice) => {
            const made = await read(api.POST('/api/v1/chat-channels', { body: { ...choice, vendor } }));
            void forget();
            toasts.done(`${made.name} is connected.${made.eventsUrl ? ' Finish the steps shown with it, then' : ' Now'} send a test.`);
          }}
        />
      )}
    </>
  );
}

function Shown({ channel, settings }: { channel: ChatChannel; settings: NotificationSettings }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForget();
  const test = useTest();
  const [open, setOpen] = useState<'change' | 'remove' | null>(null);
  const [busy, setBusy] = useState(false);
  const { id, name, trouble } = channel;
  const isChat = channel.vendor !== 'pagerduty';
  const ended: May = { allowed: false, because: 'The app was removed there, which is final: connect the channel anew.' };
  const may = settings.may.change;
  const mayUse = may.allowed && trouble?.kind === 'uninstalled' ? ended : may;
  const path = { path: { id } };
  return (
    <Section
      title={name}
      actions={
        <div className={styles.acts}>
          <GuardedButton
            size="small"
            may={mayUse}
            busy={busy}
            aria-label={`Send a test to ${name}`}
            onClick={async () => {
              setBusy(true);
              await test(name, () => read(api.POST('/api/v1/chat-channels/{id}/test', { params: path, body: {} })));
              setBusy(false);
            }}
          >
            {busy ? 'Sending…' : 'Send a test'}
          </GuardedButton>
          <GuardedButton size="small" may={mayUse} onClick={() => setOpen('change')} aria-label={`Set up again: ${name}`}>
            Set up again
          </GuardedButton>
          <GuardedButton size="small" may={may} onClick={() => setOpen('remove')} aria-label={`Remove ${name}`}>
            Remove
          </GuardedButton>
        </div>
      }
    >
      {trouble && (
        <Notice intent="error" title={trouble.because}>
          {trouble.remedy} (Since <Moment at={trouble.sinceDateTime} />.)
        </Notice>
      )}
      {channel.refused && (
        <Notice intent="warning" title="A request in its name was refused.">
          {sentence(channel.refused)} (<Moment at={channel.refusedDateTime} />.) If nobody’s answers arrive, check the secrets; otherwise it was
          not your chat that asked.
        </Notice>
      )}
      <Facts
        facts={[
          [
            'State',
            trouble ? (
              <Mark key="state" look={{ label: 'Needs you', color: 'danger' }} />
            ) : (
              <Health key="state" of={healthOf(settings.receivers, channel.vendor, id)} what="message" />
            ),
          ],
          [isChat ? 'Chat' : 'Service', [VENDORS[channel.vendor], channel.known.team, channel.known.channel].filter(Boolean).join(' · ')],
          ...CHAT_FIELDS[channel.vendor].filter((one) => !one.secret).map((one): [string, string] => [
            one.label,
            settingOf(one, channel.settings[one.name] ?? ''),
          ]),
          ['Secrets', 'Kept encrypted and never shown'],
          ['Language', languageName(channel.language)],
          ['Address for events', channel.eventsUrl && <CopyText key="events" text={channel.eventsUrl} label="Copy the address for events" />],
          [
            'Added',
            <span key="since">
              <Moment at={channel.createdDateTime} /> by {channel.createdBy}
            </span>,
          ],
        ]}
      />
      {open === 'change' && (
        <Form
          title={`Set up ${name} again`}
          act="Save"
          languages={settings.languages}
          given={channel}
          onClose={() => setOpen(null)}
          onAct={async (_, choice) => {
            await read(api.PATCH('/api/v1/chat-channels/{id}', { params: path, body: choice }));
            void forget();
            toasts.done(`${choice.name} is saved. Send a test to see whether it works.`);
          }}
        />
      )}
      <Ask
        open={open === 'remove'}
        title={`Remove ${name}`}
        act={`Remove ${name}`}
        onClose={() => setOpen(null)}
        onAct={async () => {
          await read(api.DELETE('/api/v1/chat-channels/{id}', { params: path }));
          void forget();
          toasts.done(`${name} is removed.`);
        }}
      >
        <span>
          {isChat
            ? 'Its secrets are forgotten, nothing more is posted there, and answers there are not heard. Posts stay where they are.'
            : 'Its key is forgotten, and nobody is called any more. Alerts that are open in PagerDuty stay open there.'}
        </span>
      </Ask>
    </Section>
  );
}

/** How the server's refusals begin, for each field. */
const ABOUT = [...new Set(['name', ...Object.values(CHAT_FIELDS).flatMap((fields) => fields.map((one) => one.name))])].map(
  (name): readonly [string, RegExp] => [name, new RegExp(name === 'name' ? '\\bname\\b' : `^${name}\\b`, 'i')],
);

function Form(props: {
  title: string;
  act: string;
  languages: string[];
  given?: ChatChannel;
  onClose: () => void;
  onAct: (vendor: ChatVendor, choice: ChatChannelChoice) => Promise<void>;
}) {
  const styles = useStyles();
  const { given } = props;
  const [vendor, setVendor] = useState<ChatVendor>(given?.vendor ?? 'teams');
  const [name, setName] = useState(given?.name ?? 'Managed response');
  const [language, setLanguage] = useState(given?.language ?? 'en');
  const [values, setValues] = useState<Record<string, string>>(given?.settings ?? {});
  const fields = CHAT_FIELDS[vendor];
  const act = () => {
    const chosen = (secret: boolean) => {
      const all = fields.filter((one) => Boolean(one.secret) === secret).map((one) => {
        const text = (values[one.name] ?? one.choices?.[0]?.value ?? '').trim();
        return [one.name, one.name === 'channelId' && vendor === 'teams' ? teamsChannel(text) : text] as const;
      });
      // What stays as it was is not sent: a secret that is left empty stays.
      return Object.fromEntries(all.filter(([field, text]) => !given || (text !== '' && text !== given.settings[field])));
    };
    return props.onAct(vendor, { name: name.trim(), language, settings: chosen(false), secrets: chosen(true) });
  };
  return (
    <FormPanel title={props.title} act={props.act} about={ABOUT} onClose={props.onClose} onAct={act}>
      {(at) => (
        <>
          {!given && (
            <>
              <span>
                {vendor === 'pagerduty'
                  ? 'An integration of your own PagerDuty is told when an incident waits for you.'
                  : 'An app of your own organisation posts to one channel and hears what is answered there.'}
              </span>
              <Field label="Chat or service">
                <Choices choices={CHOICES} value={vendor} onChoose={(value) => setVendor(value as ChatVendor)} />
              </Field>
              <ol className={styles.items} aria-label="Steps">
                {CHAT_STEPS[vendor].map((step) => (
                  <li key={step}>{step}</li>
                ))}
              </ol>
            </>
          )}
          <Field label="Name" required hint="What the channel is called here" {...at('name')}>
            <Input value={name} required maxLength={200} autoComplete="off" onChange={(_, data) => setName(data.value)} />
          </Field>
          {fields.map((one) => (
            <Field
              key={`${vendor} ${one.name}`}
              label={one.label}
              required={!given || !one.secret}
              hint={given && one.secret ? `${one.hint}. Left empty it stays.` : one.hint}
              {...at(one.name)}
            >
              {one.choices ? (
                <Choices
                  choices={one.choices}
                  value={values[one.name] ?? one.choices[0]?.value ?? ''}
                  onChoose={(value) => setValues({ ...values, [one.name]: value })}
                />
              ) : (
                <Input
                  value={values[one.name] ?? ''}
                  type={one.secret ? 'password' : 'text'}
                  required={!given || !one.secret}
                  autoComplete={one.secret ? 'new-password' : 'off'}
                  onChange={(_, data) => setValues({ ...values, [one.name]: data.value })}
                />
              )}
            </Field>
          ))}
          {!given && vendor === 'teams' && (
            <MakeTeam values={values} onMade={(channelId) => setValues((before) => ({ ...before, channelId }))} />
          )}
          <Field label="Language" hint="Of what is posted there">
            <Choices
              choices={props.languages.map((value) => ({ value, label: languageName(value) }))}
              value={language}
              onChoose={setLanguage}
            />
          </Field>
        </>
      )}
    </FormPanel>
  );
}

/** What PagerDuty shows of an alert, with invented names. */
function Page() {
  const styles = useStyles();
  const preview = usePreview('responsePublished', 'en');
  if (!preview.data) return null;
  return (
    <div className={styles.card} role="group" aria-label="An alert in PagerDuty">
      <p className={styles.small}>In PagerDuty: critical, from Alder Freight</p>
      <p className={styles.heading}>{preview.data.letter.subject}</p>
    </div>
  );
}

/** A card as it stands in a channel, with invented names. */
function Preview({ kind, below }: { kind: string; below?: boolean }) {
  const styles = useStyles();
  const preview = usePreview(kind, 'en');
  if (preview.isPending) return <Waiting rows={3} label="Loading the post" />;
  if (preview.isError) return <Failure error={preview.error} retry={() => void preview.refetch()} />;
  const letter: Letter = preview.data.letter;
  return (
    <div className={mergeClasses(styles.card, below && styles.below)} role="group" aria-label={below ? 'A reply below it' : 'A post'}>
      <p className={styles.heading}>{letter.heading}</p>
      {(below ? [] : letter.paragraphs).map((text, at) => (
        <p key={at}>{text}</p>
      ))}
      {letter.items.length > 0 && (
        <ul className={styles.items}>
          {letter.items.map((text, at) => (
            <li key={at}>{text}</li>
          ))}
        </ul>
      )}
      {letter.quote && <p className={styles.quote}>{letter.quote}</p>}
      <span className={styles.button}>{letter.link[0]}</span>
    </div>
  );
}
