import { Badge, Button, Checkbox, Spinner, Textarea, makeStyles, mergeClasses, tokens } from '@fluentui/react-components';
import { SendRegular, ThumbDislikeRegular, ThumbLikeRegular, TranslateRegular } from '@fluentui/react-icons';
import { useEffect, useLayoutEffect, useRef, useState, type ClipboardEvent, type DragEvent } from 'react';

import { sentence } from '../api/error';
import type { Conversation, Message } from '../api/hand';
import { languageName } from '../api/languages';
import { useSession } from '../api/session';
import { Choices } from '../ui/Choices';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Rich } from '../ui/Rich';
import { useToasts } from '../ui/Toasts';
import { Failure, Notice, Waiting } from '../ui/states';
import { olderThan, useConversation, useLiveConversations, useRate, useReadMark, useSay, useTranslations } from './data';
import { byDay, party, standing } from './words';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '12px', minWidth: 0 },
  head: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', justifyContent: 'space-between', gap: '8px' },
  state: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '8px', color: tokens.colorNeutralForeground2 },
  rate: { display: 'flex', alignItems: 'center', gap: '4px', color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
  log: {
    display: 'flex',
    flexDirection: 'column',
    gap: '10px',
    maxHeight: 'min(58vh, 640px)',
    overflowY: 'auto',
    padding: '12px',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorNeutralBackground2,
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  none: { margin: '20px auto', textAlign: 'center', color: tokens.colorNeutralForeground2, maxWidth: '44ch' },
  rule: {
    display: 'flex',
    alignItems: 'center',
    gap: '10px',
    fontSize: tokens.fontSizeBase200,
    color: tokens.colorNeutralForeground2,
    '::before': { content: '""', flex: 1, height: '1px', backgroundColor: tokens.colorNeutralStroke2 },
    '::after': { content: '""', flex: 1, height: '1px', backgroundColor: tokens.colorNeutralStroke2 },
  },
  fresh: { color: tokens.colorPaletteRedForeground1, fontWeight: tokens.fontWeightSemibold },
  older: { alignSelf: 'center' },
  message: { display: 'flex', flexDirection: 'column', gap: '2px', maxWidth: 'min(88%, 68ch)', alignSelf: 'flex-start' },
  own: { alignSelf: 'flex-end', alignItems: 'flex-end' },
  who: { display: 'flex', flexWrap: 'wrap', gap: '0 8px', fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' },
  name: { fontWeight: tokens.fontWeightSemibold, color: tokens.colorNeutralForeground1 },
  text: {
    padding: '8px 12px',
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorNeutralBackground1,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    minWidth: 0,
    overflowWrap: 'anywhere',
  },
  mine: { backgroundColor: tokens.colorBrandBackground2, border: `1px solid ${tokens.colorBrandStroke2}` },
  automatic: { backgroundColor: tokens.colorNeutralBackground3, border: 'none' },
  inner: { backgroundColor: tokens.colorPaletteYellowBackground1, border: `1px dashed ${tokens.colorPaletteYellowBorder2}` },
  compose: { display: 'flex', flexDirection: 'column', gap: '8px' },
  acts: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', justifyContent: 'space-between', gap: '8px' },
  language: { minWidth: '150px' },
  original: { alignSelf: 'flex-start', minWidth: 0, paddingInline: '4px' },
  hint: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2 },
});

/** What was typed and not sent, for who closes a pane and comes back. */
const unsent = new Map<string, string>();
/** In which language a conversation is read, for who comes back to it. */
const spoken = new Map<string, string>();
const ORIGINAL = 'original';
const LONGEST = 10_000;
const NO_FILES =
  'Files are not sent here. Let the device’s agent collect the file: its device page, Collect file. There it stays encrypted and on record.';

/** A conversation: what was said, and a place to answer. */
export default function Chat({ id }: { id: string }) {
  const conversation = useConversation(id);
  useLiveConversations();
  useReadMark(conversation.data);
  if (conversation.isPending) return <Waiting rows={4} label="Loading the conversation" />;
  if (!conversation.data) return <Failure error={conversation.error} retry={() => void conversation.refetch()} />;
  return <Shown key={id} conversation={conversation.data} />;
}

function Shown({ conversation }: { conversation: Conversation }) {
  const styles = useStyles();
  const { side } = useSession();
  const rate = useRate(conversation.id);
  const toasts = useToasts();
  const { may, helpful } = conversation;
  const [language, setLanguage] = useState(() => spoken.get(conversation.id) ?? null);
  const judge = (value: boolean) => rate.mutate(helpful === value ? null : value, { onError: toasts.fail });
  return (
    <div className={styles.all}>
      <div className={styles.head}>
        <span className={styles.state} role="status">
          <Badge appearance="tint" shape="rounded" color={conversation.overdue ? 'danger' : conversation.status === 'waitingForExperts' ? 'warning' : 'informative'}>
            {standing(conversation, side)}
          </Badge>
          {conversation.waitingSinceDateTime && (
            <span>
              first asked <Moment at={conversation.waitingSinceDateTime} as="distance" />
            </span>
          )}
        </span>
        <Language
          conversation={conversation}
          value={language}
          onValue={(next) => {
            if (next) spoken.set(conversation.id, next);
            else spoken.delete(conversation.id);
            setLanguage(next);
          }}
        />
        {side === 'customer' ? (
          conversation.messages.some((message) => message.side === 'expert') && (
            <span className={styles.rate} role="group" aria-label="Was this helpful?">
              Was this helpful?
              <Button size="small" appearance={helpful === true ? 'primary' : 'subtle'} icon={<ThumbLikeRegular />} aria-pressed={helpful === true} aria-label="Helpful" title="Helpful" onClick={() => judge(true)} />
              <Button size="small" appearance={helpful === false ? 'primary' : 'subtle'} icon={<ThumbDislikeRegular />} aria-pressed={helpful === false} aria-label="Not helpful" title="Not helpful" onClick={() => judge(false)} />
            </span>
          )
        ) : (
          conversation.ratings &&
          conversation.ratings.helpful + conversation.ratings.notHelpful > 0 && (
            <span className={styles.rate}>
              {conversation.ratings.helpful} found this helpful, {conversation.ratings.notHelpful} did not
            </span>
          )
        )}
      </div>
      <Log conversation={conversation} language={language} />
      {may.write.allowed ? <Composer conversation={conversation} /> : <Notice intent="info">{sentence(may.write.because ?? '')}</Notice>}
    </div>
  );
}

/** COM-3: the conversation in a language of the reader's. */
function Language({
  conversation,
  value,
  onValue,
}: {
  conversation: Conversation;
  value: string | null;
  onValue: (value: string | null) => void;
}) {
  const styles = useStyles();
  const { isSetUp, languages } = conversation.translation;
  if (!isSetUp) {
    return (
      <GuardedButton size="small" appearance="subtle" icon={<TranslateRegular />} may={{ allowed: false, because: 'Your provider has set up no translation service.' }}>
        Translate
      </GuardedButton>
    );
  }
  return (
    <span className={styles.state}>
      <TranslateRegular aria-hidden />
      <Choices
        size="small"
        className={styles.language}
        aria-label="Language of the messages"
        choices={[{ value: ORIGINAL, label: 'As written' }, ...languages.map((one) => ({ value: one, label: languageName(one) }))]}
        value={value ?? ORIGINAL}
        onChoose={(next) => onValue(next === ORIGINAL ? null : next)}
      />
    </span>
  );
}

function Log({ conversation, language }: { conversation: Conversation; language: string | null }) {
  const styles = useStyles();
  const toasts = useToasts();
  const frame = useRef<HTMLDivElement>(null);
  const [before, setBefore] = useState<{ messages: Message[]; older: boolean } | null>(null);
  const [loading, setLoading] = useState(false);
  // Where it begins to be new stays where it was when this was opened.
  const [fresh] = useState(conversation.firstUnreadId);
  // The page that was asked for first is renewed; what was read before it stays.
  const known = new Set(conversation.messages.map((message) => message.id));
  const all = [...(before?.messages ?? []).filter((message) => !known.has(message.id)), ...conversation.messages];
  const older = before ? before.older : conversation.older;
  const translations = useTranslations(conversation.id, language, all);
  const said = (message: Message) => translations.known?.get(message.id) ?? null;
  const last = conversation.messages.at(-1)?.id;
  const first = all[0];
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const log = frame.current;
    if (log && atEnd.current) log.scrollTop = log.scrollHeight;
  }, [last]);
  const more = async () => {
    if (!first) return;
    setLoading(true);
    try {
      const found = await olderThan(conversation.id, first.id);
      atEnd.current = false;
      setBefore({ messages: [...found.value, ...all.filter((message) => !known.has(message.id))], older: found.older });
    } catch (error) {
      toasts.fail(error);
    } finally {
      setLoading(false);
    }
  };
  return (
    <>
      {language !== null && (
        <Translating busy={translations.busy} because={translations.because} error={translations.error} again={translations.again} />
      )}
      <div
        ref={frame}
        className={styles.log}
        role="log"
        aria-label="Messages"
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
          atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
        }}
      >
        {older && (
          <Button size="small" appearance="subtle" className={styles.older} disabledFocusable={loading} onClick={() => void more()}>
            {loading ? 'Loading…' : 'Show older messages'}
          </Button>
        )}
        {all.length === 0 && (
          <p className={styles.none}>
            {conversation.may.write.allowed ? 'Nothing has been said yet. What is written here is seen by the experts and by the customer.' : 'Nothing has been said yet.'}
          </p>
        )}
        {byDay(all).map(({ day, messages }) => (
          <DayOf key={day} at={messages[0]?.sentDateTime ?? ''} messages={messages} fresh={fresh} said={said} language={language} />
        ))}
      </div>
    </>
  );
}

/** How far the translation is, and what is missing of it. */
function Translating({ busy, because, error, again }: { busy: boolean; because: string | null; error: unknown; again: () => void }) {
  if (busy) return <Spinner size="tiny" label="Translating…" labelPosition="after" style={{ justifyContent: 'start' }} />;
  if (error) return <Failure error={error} title="The messages are not translated" retry={again} />;
  if (!because) return null;
  return (
    <Notice intent="warning" title="Some messages are not translated.">
      {sentence(because)} They stand here as they were written. <Button size="small" onClick={again}>Try again</Button>
    </Notice>
  );
}

type Tongue = { /** What a message says in the language. */ said: (message: Message) => string | null; language: string | null };

function DayOf({ at, messages, fresh, said, language }: { at: string; messages: Message[]; fresh: string | null } & Tongue) {
  const styles = useStyles();
  return (
    <>
      <span className={styles.rule}>
        <Moment at={at} as="day" />
      </span>
      {messages.map((message) => (
        <One key={message.id} message={message} fresh={message.id === fresh} translation={said(message)} language={language} />
      ))}
    </>
  );
}

function One({
  message,
  fresh,
  translation,
  language,
}: {
  message: Message;
  fresh: boolean;
  translation: string | null;
  language: string | null;
}) {
  const styles = useStyles();
  const [original, setOriginal] = useState(false);
  const other = translation !== null && translation.trim() !== message.text.trim();
  const translated = other && !original;
  const inner = message.visibility === 'experts';
  return (
    <>
      {fresh && <span className={mergeClasses(styles.rule, styles.fresh)}>New</span>}
      <article className={mergeClasses(styles.message, message.own && styles.own)} aria-label={`${message.author}, ${party(message)}`}>
        <span className={styles.who}>
          <span className={styles.name}>{message.own ? 'You' : message.author}</span>
          {!message.own && <span>{party(message)}</span>}
          {inner && <span>Only experts see this</span>}
          <Moment at={message.sentDateTime} />
        </span>
        <div className={mergeClasses(styles.text, message.own && styles.mine, message.side === 'assistant' && styles.automatic, inner && styles.inner)}>
          <div {...(translated && language && { lang: language })}>
            <Rich text={translated ? translation : message.text} />
          </div>
        </div>
        {other && (
          <Button size="small" appearance="transparent" className={styles.original} onClick={() => setOriginal(!original)}>
            {original ? 'Show the translation' : 'Translated. Show as written'}
          </Button>
        )}
      </article>
    </>
  );
}

function Composer({ conversation }: { conversation: Conversation }) {
  const styles = useStyles();
  const say = useSay(conversation.id);
  const [text, setText] = useState(() => unsent.get(conversation.id) ?? '');
  const [inner, setInner] = useState(false);
  const [files, setFiles] = useState(false);
  const key = useRef<string | null>(null);
  useEffect(() => {
    if (text) unsent.set(conversation.id, text);
    else unsent.delete(conversation.id);
  }, [conversation.id, text]);
  const written = text.trim();
  const tooLong = [...written].length > LONGEST;
  const write = (value: string) => {
    // What was changed is another message.
    key.current = null;
    setText(value);
  };
  const send = () => {
    if (!written || tooLong || say.isPending) return;
    key.current ??= crypto.randomUUID();
    say.mutate({ text: written, visibility: inner ? 'experts' : 'both', key: key.current }, { onSuccess: () => write('') });
  };
  const refuse = (event: ClipboardEvent | DragEvent, data: DataTransfer | null) => {
    if (!data || data.files.length === 0) return;
    event.preventDefault();
    setFiles(true);
  };
  return (
    <form
      className={styles.compose}
      aria-label="Write a message"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <Textarea
        aria-label={inner ? 'Message to the experts only' : 'Message'}
        placeholder={inner ? 'Only experts will see this' : 'Write a message'}
        value={text}
        rows={3}
        resize="vertical"
        onChange={(_, data) => write(data.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          send();
        }}
        onPaste={(event) => refuse(event, event.clipboardData)}
        onDrop={(event) => refuse(event, event.dataTransfer)}
        onDragOver={(event) => event.preventDefault()}
      />
      {files && <Notice intent="warning">{NO_FILES}</Notice>}
      {tooLong && <Notice intent="warning">A message has at most {LONGEST.toLocaleString()} characters.</Notice>}
      <Failure error={say.error} title="The message was not sent" />
      <div className={styles.acts}>
        {conversation.may.note.allowed ? (
          <Checkbox checked={inner} label="Only experts see it" onChange={(_, data) => { key.current = null; setInner(data.checked === true); }} />
        ) : (
          <span className={styles.hint}>Ctrl and Enter sends</span>
        )}
        <GuardedButton type="submit" appearance="primary" icon={<SendRegular />} may={{ allowed: written !== '' && !tooLong, because: tooLong ? 'The message is too long' : 'Write something first' }} busy={say.isPending}>
          {say.isPending ? 'Sending…' : inner ? 'Note' : 'Send'}
        </GuardedButton>
      </div>
    </form>
  );
}
