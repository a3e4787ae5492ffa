import {
  Button,
  Checkbox,
  Dropdown,
  Field,
  Input,
  Option,
  OptionGroup,
  Radio,
  RadioGroup,
  SpinButton,
  Switch,
  Textarea,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { useId, useState } from 'react';

import { APPROVERS, CONFIDENCES, DAYS, FALLBACKS, SEVERITIES, WHO, clock, minuteOf, namesOf, newRule } from '../api/authority-words';
import type { Approver, Authority, Effect, Fallback, Hours, Rule, Who } from '../api/hand';
import { Choices } from '../ui/Choices';
import { Panel } from '../ui/Panel';
import { Section } from '../ui/Section';
import { Ticks } from '../ui/Ticks';
import { zone } from '../ui/time';

const useStyles = makeStyles({
  row: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  half: { flex: '1 1 180px', minWidth: 0 },
  short: { width: '130px' },
  choice: { minWidth: 0, width: '100%' },
  hint: { margin: 0, color: tokens.colorNeutralForeground2 },
});

const ANY = '';
const any = (label: string) => ({ value: ANY, label });
const SEVERITY_CHOICES = [any('Any'), ...SEVERITIES.map((value) => ({ value, label: value.charAt(0).toUpperCase() + value.slice(1) }))];
const CONFIDENCE_CHOICES = [
  any('Any'),
  ...Object.entries(CONFIDENCES).map(([value, label]) => ({ value, label: label.charAt(0).toUpperCase() + label.slice(1) })),
];
const choicesOf = <Word extends string>(words: Record<Word, string>) =>
  (Object.entries(words) as [Word, string][]).map(([value, label]) => ({ value, label: label.charAt(0).toUpperCase() + label.slice(1) }));

/** The time zones this browser knows. */
const ZONES = typeof Intl.supportedValuesOf === 'function' ? Intl.supportedValuesOf('timeZone') : [];

const APPROVAL: Effect = { kind: 'approval', by: 'customer', quorum: 1, within: 60, fallback: 'refuse' };

/** One rule in a form. */
export function RulePane({
  authority,
  rule,
  fresh,
  onClose,
  onDone,
}: {
  authority: Authority;
  rule: Rule;
  fresh: boolean;
  onClose: () => void;
  onDone: (rule: Rule) => void;
}) {
  const styles = useStyles();
  const [now, setNow] = useState(rule);
  const [missing, setMissing] = useState(false);
  const set = (change: Partial<Rule>) => setNow((before) => ({ ...before, ...change }));
  const things = (change: Partial<Rule['things']>) => set({ things: { ...now.things, ...change } });
  const done = () => {
    if (now.title.trim() === '') setMissing(true);
    else onDone({ ...now, title: now.title.trim() });
  };
  const words = [...authority.actionGroups, ...authority.actions];
  const chosen = now.actions.map((word) => words.find((one) => one.word === word)?.title ?? word);
  return (
    <Panel
      open
      title={fresh ? 'Add a rule' : `Edit: ${rule.title}`}
      onClose={onClose}
      footer={
        <>
          <Button appearance="primary" onClick={done}>
            {fresh ? 'Add' : 'Done'}
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </>
      }
    >
      <Field
        label="Title"
        required
        hint="People read it where the rule decides"
        {...(missing && now.title.trim() === '' ? { validationMessage: 'Give it a title.' } : {})}
      >
        <Input value={now.title} maxLength={200} onChange={(_, data) => set({ title: data.value })} />
      </Field>
      <Section title="When it holds" plain>
        <Field label="Actions" hint="Every action when none is chosen">
          <Dropdown
            multiselect
            className={styles.choice}
            placeholder="Every action"
            value={chosen.join(', ')}
            selectedOptions={now.actions}
            onOptionSelect={(_, data) => set({ actions: data.selectedOptions })}
          >
            <OptionGroup label="Groups">
              {authority.actionGroups.map((one) => (
                <Option key={one.word} value={one.word} text={one.title}>
                  {one.title}
                </Option>
              ))}
            </OptionGroup>
            <OptionGroup label="Single actions">
              {authority.actions.map((one) => (
                <Option key={one.word} value={one.word} text={one.title}>
                  {one.title}
                </Option>
              ))}
            </OptionGroup>
          </Dropdown>
        </Field>
        <Ticks
          label="Asked for by"
          hint="Anybody when none is chosen"
          words={(Object.keys(WHO) as Who[]).map((who) => ({ value: who, label: WHO[who].charAt(0).toUpperCase() + WHO[who].slice(1) }))}
          value={now.who}
          onValue={(who) => set({ who })}
        />
        <Names label="Devices" hint="Names or ids, one a line" names={now.things.devices} onNames={(devices) => things({ devices })} />
        <Names label="Device groups" hint="One a line" names={now.things.deviceGroups} onNames={(deviceGroups) => things({ deviceGroups })} />
        <Names label="Users" hint="Accounts, one a line" names={now.things.users} onNames={(users) => things({ users })} />
        <Switch
          label="Devices and users of high value"
          checked={now.things.highValue}
          onChange={(_, data) => things({ highValue: data.checked })}
        />
        <p className={styles.hint}>It holds for any of these, and for everything when none is named.</p>
        <div className={styles.row}>
          <Field className={styles.half} label="Severity at least">
            <Choices className={styles.choice} choices={SEVERITY_CHOICES} value={now.severityFrom ?? ANY} onChoose={(to) => set({ severityFrom: to || null })} />
          </Field>
          <Field className={styles.half} label="Severity at most">
            <Choices className={styles.choice} choices={SEVERITY_CHOICES} value={now.severityTo ?? ANY} onChoose={(to) => set({ severityTo: to || null })} />
          </Field>
        </div>
        <div className={styles.row}>
          <Field className={styles.half} label="Confidence at least">
            <Choices className={styles.choice} choices={CONFIDENCE_CHOICES} value={now.confidenceFrom ?? ANY} onChoose={(to) => set({ confidenceFrom: to || null })} />
          </Field>
          <Field className={styles.half} label="Confidence at most">
            <Choices className={styles.choice} choices={CONFIDENCE_CHOICES} value={now.confidenceTo ?? ANY} onChoose={(to) => set({ confidenceTo: to || null })} />
          </Field>
        </div>
        <p className={styles.hint}>Of the incident. What is asked for without one has no severity, and nobody has said it is a threat.</p>
        <HoursPart hours={now.hours} onHours={(hours) => set({ hours })} />
      </Section>
      <EffectPart effect={now.effect} who={now.who} onEffect={(effect) => set({ effect })} />
    </Panel>
  );
}

function Names({ label, hint, names, onNames }: { label: string; hint: string; names: string[]; onNames: (names: string[]) => void }) {
  const [text, setText] = useState(names.join('\n'));
  return (
    <Field label={label} hint={hint}>
      <Textarea
        rows={2}
        resize="vertical"
        value={text}
        onChange={(_, data) => {
          setText(data.value);
          onNames(namesOf(data.value));
        }}
      />
    </Field>
  );
}

function HoursPart({ hours, onHours }: { hours: Hours | null; onHours: (hours: Hours | null) => void }) {
  const styles = useStyles();
  const list = useId();
  const set = (change: Partial<Hours>) => hours && onHours({ ...hours, ...change });
  const time = (label: string, minute: number, onMinute: (minute: number) => void) => (
    <Field label={label}>
      <Input
        className={styles.short}
        type="time"
        value={clock(minute % 1440)}
        onChange={(_, data) => {
          const given = minuteOf(data.value);
          if (given !== null) onMinute(given);
        }}
      />
    </Field>
  );
  return (
    <>
      <Switch
        label="Only at certain hours"
        checked={hours !== null}
        onChange={(_, data) => onHours(data.checked ? newRule([], zone()).hours : null)}
      />
      {hours && (
        <>
          <Ticks
            label="Days"
            words={DAYS.map((name, at) => ({ value: at + 1, label: name }))}
            value={hours.days}
            onValue={(days) => set({ days: days.sort() })}
          />
          <div className={styles.row}>
            {time('From', hours.from, (from) => set({ from }))}
            {time('To', hours.to, (to) => set({ to }))}
            <Field className={styles.half} label="Time zone">
              <Input className={styles.choice} list={list} value={hours.zone} onChange={(_, data) => set({ zone: data.value })} />
            </Field>
            <datalist id={list}>
              {ZONES.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </div>
          <Checkbox label="Outside of these hours instead" checked={hours.outside} onChange={(_, data) => set({ outside: Boolean(data.checked) })} />
          <p className={styles.hint}>By the clock on the wall there, also when it changes. A time that ends before it begins runs into the next day.</p>
        </>
      )}
    </>
  );
}

function EffectPart({ effect, who, onEffect }: { effect: Effect; who: Who[]; onEffect: (effect: Effect) => void }) {
  const styles = useStyles();
  const approval = effect.kind === 'approval' ? effect : null;
  const own = who.length === 0 || who.includes('customer');
  return (
    <Section title="What it decides" plain>
      <RadioGroup
        aria-label="What it decides"
        value={effect.kind}
        onChange={(_, data) => onEffect(data.value === 'approval' ? APPROVAL : { kind: data.value as 'atOnce' | 'never' })}
      >
        <Radio value="atOnce" label="Experts may act at once" />
        <Radio value="approval" label="People have to approve first" />
        <Radio value="never" label="Never by experts: it is a task for your people" />
      </RadioGroup>
      {effect.kind === 'never' && own && (
        <p className={styles.hint}>Choose above who asks for it: experts, or Riposte by itself. Your own people are not held back.</p>
      )}
      {approval && (
        <>
          <div className={styles.row}>
            <Field label="People">
              <SpinButton
                className={styles.short}
                value={approval.quorum}
                min={1}
                max={5}
                onChange={(_, data) => onEffect({ ...approval, quorum: whole(data, 1, 5, approval.quorum) })}
              />
            </Field>
            <Field className={styles.half} label="Of">
              <Choices className={styles.choice} choices={choicesOf(APPROVERS)} value={approval.by} onChoose={(by) => onEffect({ ...approval, by: by as Approver })} />
            </Field>
            <Field label="Within (minutes)">
              <SpinButton
                className={styles.short}
                value={approval.within}
                min={1}
                max={10_080}
                step={15}
                onChange={(_, data) => onEffect({ ...approval, within: whole(data, 1, 10_080, approval.within) })}
              />
            </Field>
          </div>
          <Field label="When nobody approves in time">
            <Choices
              className={styles.choice}
              choices={choicesOf(FALLBACKS)}
              value={approval.fallback}
              onChoose={(fallback) => onEffect({ ...approval, fallback: fallback as Fallback })}
            />
          </Field>
          <p className={styles.hint}>Whoever asks for it does not count. What your own people ask for, only your own people approve.</p>
        </>
      )}
    </Section>
  );
}

/** What a spin button was given, as a whole number within its bounds. */
function whole(data: { value?: number | null | undefined; displayValue?: string | undefined }, least: number, most: number, before: number): number {
  const given = Number(data.value ?? data.displayValue);
  return Number.isFinite(given) ? Math.max(least, Math.min(most, Math.round(given))) : before;
}
