import { Button, Field, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useDeferredValue, useEffect, useMemo, useState } from 'react';

import { newRule } from '../api/authority-words';
import { api, read } from '../api/client';
import { sentence } from '../api/error';
import { useEvents } from '../api/events';
import type { Authority as All, Drafted, Fault, Looked, Rule } from '../api/hand';
import { Ask } from '../ui/Ask';
import { GuardedButton } from '../ui/Guarded';
import { Json } from '../ui/Json';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { zone } from '../ui/time';
import { RuleList } from './RuleList';
import { RulePane } from './RulePane';
import { Versions } from './Versions';
import { WhatIfPart } from './WhatIfPart';

const useStyles = makeStyles({
  hint: { margin: 0, color: tokens.colorNeutralForeground2 },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  text: { '& textarea': { fontFamily: tokens.fontFamilyMonospace, minHeight: '320px', maxHeight: '60vh' } },
  faults: { margin: 0, paddingInlineStart: '18px', overflowWrap: 'anywhere' },
});

const KEY = ['authority'];

/** How far experts act by themselves: rules of a form, and the Cedar they are. */
export default function Authority() {
  const queries = useQueryClient();
  const authority = useQuery({ queryKey: KEY, queryFn: () => read(api.GET('/api/v1/authority')) });
  useEvents((fact) => {
    if (fact.kind === 'authority.changed') void queries.invalidateQueries({ queryKey: KEY });
  });
  return (
    <Page
      title="Authority"
      lead="What experts do for you at once, what waits for people to approve, and what they only tell you to do. Rules narrow what the permission gives and never widen it."
    >
      {authority.data ? (
        <Editor authority={authority.data} />
      ) : authority.isError ? (
        <Failure error={authority.error} retry={() => void authority.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

const savedOf = ({ policy }: All): Drafted => (policy.rules ? { rules: policy.rules } : { text: policy.text });

function Editor({ authority }: { authority: All }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const { policy, may } = authority;
  const saved = useMemo(() => savedOf(authority), [authority]);
  const [draft, setDraft] = useState<Drafted>(saved);
  // The version the draft was begun from: another one saved meanwhile is no reason to lose it.
  const [from, setFrom] = useState(policy.version);
  const [edited, setEdited] = useState<{ rule: Rule; at: number | null } | null>(null);
  const [saving, setSaving] = useState(false);
  const same = JSON.stringify(draft) === JSON.stringify(saved);
  useEffect(() => {
    if (same) setFrom(policy.version);
  }, [same, policy.version]);
  const asked = useDeferredValue(draft);
  const looked = useQuery({
    queryKey: [...KEY, 'check', asked],
    queryFn: () => read(api.POST('/api/v1/authority/check', { body: asked })),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    retry: false,
  });
  const rules = 'rules' in draft ? draft.rules : null;
  const change = (next: readonly Rule[]) => setDraft({ rules: [...next] });
  const locked = !may.savePolicy.allowed;
  const discard = () => {
    setDraft(saved);
    setFrom(policy.version);
  };
  const faults = looked.data?.faults ?? [];
  const mayNot = same
    ? { allowed: false, because: 'Nothing is changed yet.' }
    : faults.length > 0
      ? { allowed: false, because: 'Something of it is not right yet.' }
      : may.savePolicy;
  return (
    <>
      {locked && <Notice>{sentence(may.savePolicy.because ?? 'You cannot change this.')}</Notice>}
      {!same && from !== policy.version && (
        <Notice
          intent="warning"
          title={`Version ${policy.version} was saved by ${policy.savedBy ?? 'somebody'} meanwhile`}
          action={
            <Button size="small" onClick={discard}>
              Show it
            </Button>
          }
        >
          What you have changed here was made from version {from} and cannot be saved.
        </Notice>
      )}
      {rules ? (
        <Section
          title="Rules"
          actions={
            <GuardedButton
              icon={<AddRegular />}
              may={may.savePolicy}
              onClick={() => setEdited({ rule: newRule(rules, zone()).rule, at: null })}
            >
              Add a rule
            </GuardedButton>
          }
        >
          <p className={styles.hint}>The first rule that holds decides.{authority.fourEyes && ' Besides, each dangerous action takes two people (Permissions).'}</p>
          {rules.length === 0 ? (
            <Empty title="There are no rules">Experts act as far as the permission goes, at once.</Empty>
          ) : (
            <RuleList
              rules={rules}
              authority={authority}
              may={may.savePolicy}
              faults={faults}
              onChange={change}
              onEdit={(at) => setEdited({ rule: rules[at] as Rule, at })}
              onRemove={(at) => {
                const gone = rules[at] as Rule;
                change(rules.filter((_, place) => place !== at));
                toasts.done(`${gone.title} is removed.`, () =>
                  setDraft((now) =>
                    'rules' in now && !now.rules.some((one) => one.id === gone.id)
                      ? { rules: [...now.rules.slice(0, at), gone, ...now.rules.slice(at)] }
                      : now,
                  ),
                );
              }}
            />
          )}
        </Section>
      ) : (
        <Notice
          title="This policy is text"
          action={
            !locked && (
              <Button size="small" onClick={() => setDraft({ rules: looked.data?.rules ?? [] })}>
                {looked.data?.rules ? 'Show it as rules' : 'Begin anew with rules'}
              </Button>
            )
          }
        >
          {looked.data?.rules
            ? 'It says nothing that rules could not say.'
            : 'It says what the rules of the form cannot say, or is not complete yet. It is shown, changed and saved as Cedar.'}
        </Notice>
      )}
      <CedarPart draft={draft} looked={looked.data} failed={looked.error} locked={locked} onText={(text) => setDraft({ text })} />
      <div className={styles.acts}>
        <GuardedButton appearance="primary" may={mayNot} onClick={() => setSaving(true)}>
          Save…
        </GuardedButton>
        {!same && <Button onClick={discard}>Discard</Button>}
      </div>
      {policy.savedDateTime && (
        <p className={styles.hint}>
          Version {policy.version}, saved <Moment at={policy.savedDateTime} /> by {policy.savedBy}.
        </p>
      )}
      <Versions current={policy.version} may={may.savePolicy} onUse={setDraft} />
      {edited && (
        <RulePane
          key={edited.rule.id}
          authority={authority}
          rule={edited.rule}
          fresh={edited.at === null}
          onClose={() => setEdited(null)}
          onDone={(rule) => {
            const all = rules ?? [];
            change(edited.at === null ? [...all, rule] : all.map((one, at) => (at === edited.at ? rule : one)));
            setEdited(null);
          }}
        />
      )}
      {saving && (
        <Save
          draft={draft}
          version={from}
          onClose={() => setSaving(false)}
          onSaved={(now) => {
            queries.setQueryData(KEY, now);
            setDraft(savedOf(now));
            setFrom(now.policy.version);
            void queries.invalidateQueries({ queryKey: [...KEY, 'versions'] });
            toasts.done('It holds from now on, also for what was not sent yet.');
          }}
        />
      )}
    </>
  );
}

/** The policy as it is stored and evaluated; whoever knows Cedar writes it here. */
function CedarPart({
  draft,
  looked,
  failed,
  locked,
  onText,
}: {
  draft: Drafted;
  looked: Looked | undefined;
  failed: unknown;
  locked: boolean;
  onText: (text: string) => void;
}) {
  const styles = useStyles();
  const text = 'text' in draft ? draft.text : (looked?.text ?? '');
  const writes = 'text' in draft && !locked;
  return (
    <Section
      title="In Cedar"
      actions={
        !locked &&
        !writes && (
          <Button size="small" disabledFocusable={!looked?.text} onClick={() => looked?.text && onText(looked.text)}>
            Write it as text
          </Button>
        )
      }
    >
      {writes ? (
        <Field label="Policy" hint="What is written here decides as it stands. The rules of the form are read back from it where it says no more than they can">
          <Textarea className={styles.text} value={text} resize="vertical" spellCheck={false} onChange={(_, data) => onText(data.value)} />
        </Field>
      ) : (
        <Json value={text} label="The policy in Cedar" />
      )}
      <Faults faults={looked?.faults ?? []} />
      {(looked?.warnings ?? []).map((warning) => (
        <Notice key={warning} intent="warning">
          {sentence(warning)}
        </Notice>
      ))}
      <Failure error={failed} />
    </Section>
  );
}

function Faults({ faults }: { faults: Fault[] }) {
  const styles = useStyles();
  if (faults.length === 0) return null;
  return (
    <Notice intent="error" title="It cannot be saved like this">
      <ul className={styles.faults}>
        {faults.map((fault) => (
          <li key={`${fault.rule}: ${fault.because}`}>
            {fault.rule && `Rule ${fault.rule}: `}
            {fault.because}
          </li>
        ))}
      </ul>
    </Notice>
  );
}

/** What would have come of it, then the one act. */
function Save({ draft, version, onClose, onSaved }: { draft: Drafted; version: number; onClose: () => void; onSaved: (now: All) => void }) {
  const [note, setNote] = useState('');
  return (
    <Ask
      open
      title="Save the policy"
      act="Save"
      onClose={onClose}
      onAct={async () => {
        const body = { ...draft, version, ...(note.trim() && { note: note.trim() }) };
        onSaved(await read(api.PUT('/api/v1/authority/policy', { body })));
      }}
    >
      <WhatIfPart draft={draft} />
      <Field label="Note (optional)" hint="Why it is changed; it stands with the version">
        <Textarea value={note} maxLength={1000} onChange={(_, data) => setNote(data.value)} />
      </Field>
    </Ask>
  );
}
