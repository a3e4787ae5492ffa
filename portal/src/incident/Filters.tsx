import {
  Button,
  Checkbox,
  Combobox,
  Field,
  Input,
  Menu,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
  Option,
  Popover,
  PopoverSurface,
  PopoverTrigger,
  Radio,
  RadioGroup,
  Tag,
  TagGroup,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { AddRegular, ChevronDownRegular, DismissRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';

import { api, read } from '../api/client';
import type { IncidentRow, Word } from '../api/hand';
import { plain } from '../api/plain';
import { useSession } from '../api/session';
import { useWords } from '../api/use-words';
import { sourceName, spelled } from '../api/words';
import { fromInput, toInput } from '../ui/time';
import {
  DEFAULT_PERIOD,
  DEFAULTS,
  filtersOnly,
  NOBODY,
  PERIODS,
  readView,
  WORDED,
  type FilterName,
  type Free,
  type View,
  type Worded,
} from './query';

/** Service sources of the contract; others can be typed. */
const SOURCES = ['microsoftDefenderForEndpoint', 'microsoftDefenderForIdentity', 'microsoftDefenderForCloudApps', 'microsoftDefenderForOffice365', 'microsoft365Defender', 'azureAdIdentityProtection', 'microsoftDefenderForCloud', 'microsoftSentinel'].map(
  (value) => ({ value, label: sourceName(value) }),
);

const LABELS: Record<FilterName, string> = {
  status: 'Status',
  severity: 'Severity',
  period: 'Last update',
  assigned: 'Assigned to',
  classification: 'Classification',
  determination: 'Determination',
  category: 'Category',
  product: 'Product',
  source: 'Service source',
  detection: 'Detection source',
  rule: 'Policy or rule',
  tag: 'Tag',
  os: 'OS platform',
  group: 'Device group',
  label: 'Sensitivity label',
  threat: 'Associated threat',
  tenant: 'Customer',
};
const ALWAYS: FilterName[] = ['status', 'severity', 'period', 'assigned'];
const ADDABLE: FilterName[] = ['tenant', 'category', 'product', 'source', 'detection', 'rule', 'threat', 'tag', 'os', 'group', 'label', 'classification', 'determination'];

const useStyles = makeStyles({
  bar: { display: 'flex', flexWrap: 'wrap', gap: '6px', alignItems: 'center', minWidth: 0 },
  pill: { display: 'inline-flex', maxWidth: '100%' },
  button: { fontWeight: tokens.fontWeightRegular, minWidth: 0, maxWidth: '320px', justifyContent: 'flex-start' },
  text: { overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' },
  value: { fontWeight: tokens.fontWeightSemibold },
  surface: { display: 'flex', flexDirection: 'column', gap: '4px', minWidth: '220px', maxWidth: 'calc(100vw - 48px)', padding: '12px' },
  title: { margin: '0 0 4px', fontSize: tokens.fontSizeBase300 },
});

type Props = { view: View; rows: IncidentRow[]; onChange: (next: Partial<View>) => void };

/** UI-1: filters as pills; each opens what it can be set to. */
export function Filters({ view, rows, onChange }: Props) {
  const styles = useStyles();
  const { side } = useSession();
  const [added, setAdded] = useState<FilterName | null>(null);
  const isSet = (name: FilterName) => name !== 'period' && view[name].length > 0;
  const shown = [...ALWAYS, ...ADDABLE.filter((name) => isSet(name) || name === added)];
  const more = ADDABLE.filter((name) => !shown.includes(name) && (name !== 'tenant' || side === 'provider'));
  const isDefault = filtersOnly(view) === '';
  return (
    <div className={styles.bar} role="group" aria-label="Filters">
      {shown.map((name) => (
        <Pill
          key={name}
          name={name}
          view={view}
          rows={rows}
          openAtFirst={name === added}
          onChange={onChange}
          onGone={ADDABLE.includes(name) ? () => setAdded(null) : undefined}
        />
      ))}
      {more.length > 0 && (
        <Menu>
          <MenuTrigger disableButtonEnhancement>
            <Button size="small" appearance="subtle" icon={<AddRegular />}>
              Add filter
            </Button>
          </MenuTrigger>
          <MenuPopover>
            <MenuList>
              {more.map((name) => (
                <MenuItem key={name} onClick={() => setAdded(name)}>
                  {LABELS[name]}
                </MenuItem>
              ))}
            </MenuList>
          </MenuPopover>
        </Menu>
      )}
      {!isDefault && (
        <Button
          size="small"
          appearance="subtle"
          onClick={() => {
            setAdded(null);
            const { q, sort, columns, open, ...filters } = readView(new URLSearchParams());
            void [q, sort, columns, open];
            onChange(filters);
          }}
        >
          Reset
        </Button>
      )}
    </div>
  );
}

const isWorded = (name: FilterName): name is Worded => (WORDED as readonly string[]).includes(name);

function Pill({
  name,
  view,
  rows,
  openAtFirst,
  onChange,
  onGone,
}: Props & { name: FilterName; openAtFirst: boolean; onGone?: (() => void) | undefined }) {
  const styles = useStyles();
  const [open, setOpen] = useState(openAtFirst);
  const { choices, labels } = useChoices(name, view, rows);
  const text = summary(name, view, labels);
  return (
    <span className={styles.pill}>
      <Popover open={open} onOpenChange={(_, data) => setOpen(data.open)} positioning="below-start" trapFocus>
        <PopoverTrigger disableButtonEnhancement>
          <Button
            size="small"
            shape="circular"
            className={styles.button}
            icon={<ChevronDownRegular />}
            iconPosition="after"
            aria-label={`${LABELS[name]}: ${text}`}
          >
            <span className={styles.text}>
              {LABELS[name]}: <span className={styles.value}>{text}</span>
            </span>
          </Button>
        </PopoverTrigger>
        <PopoverSurface className={styles.surface} aria-label={LABELS[name]} tabIndex={-1}>
          <h2 className={styles.title}>{LABELS[name]}</h2>
          {name === 'period' ? (
            <Period view={view} onChange={onChange} />
          ) : isWorded(name) ? (
            <Words name={name} choices={choices} view={view} onChange={onChange} />
          ) : (
            <Values name={name} choices={choices} view={view} onChange={onChange} labels={labels} />
          )}
        </PopoverSurface>
      </Popover>
      {onGone && (
        <Button
          size="small"
          appearance="transparent"
          icon={<DismissRegular />}
          aria-label={`Remove the filter ${LABELS[name]}`}
          onClick={() => {
            onGone();
            onChange({ [name]: [] });
          }}
        />
      )}
    </span>
  );
}

/** What can be chosen: the server's words, or what the rows shown have. Anything else can be typed. */
function useChoices(name: FilterName, view: View, rows: IncidentRow[]): { choices: Word[]; labels: Map<string, string> } {
  const words = useWords();
  const { side } = useSession();
  const tenants = useQuery({
    queryKey: ['tenants'],
    queryFn: () => read(api.GET('/api/v1/tenants')),
    enabled: name === 'tenant' && side === 'provider',
  });
  const distinct = (of: (row: IncidentRow) => (string | null)[]): Word[] =>
    [...new Set(rows.flatMap(of).filter((value): value is string => Boolean(value)))]
      .sort((a, b) => a.localeCompare(b))
      .map((value) => ({ value, label: value }));
  const lists: Record<FilterName, () => Word[]> = {
    status: () => words.status.map((word) => (word.value === 'active' ? { ...word, label: 'New' } : word)),
    severity: () => words.severity,
    classification: () => words.classification,
    // One determination goes with several classifications.
    determination: () => [
      ...new Map(words.classification.flatMap((one) => one.determinations).map((one) => [one.value, one])).values(),
    ],
    period: () => [],
    assigned: () => [
      { value: NOBODY, label: 'Unassigned' },
      ...distinct((row) => ['Defender Experts', 'Customer', row.assignedTo]),
    ],
    category: () => distinct((row) => row.categories),
    product: () => distinct((row) => row.products),
    source: () => SOURCES,
    detection: () => SOURCES,
    // What rules are called is in the alerts alone.
    rule: () => [],
    tag: () => distinct((row) => [...row.systemTags, ...row.customTags]),
    os: () => distinct((row) => row.osPlatforms),
    group: () => distinct((row) => row.deviceGroups ?? []),
    label: () => distinct((row) => row.sensitivityLabels ?? []),
    threat: () => distinct((row) => row.threats ?? []),
    tenant: () => (tenants.data?.value ?? []).map((one) => ({ value: one.id, label: one.name })),
  };
  // A copy: what is added below must not end up in the server's words.
  const choices: Word[] = [...lists[name]()];
  const labels = new Map(choices.map((choice) => [choice.value, choice.label]));
  if (name !== 'period') {
    for (const value of view[name]) {
      if (!labels.has(value)) {
        const known = value === NOBODY ? 'Unassigned' : name === 'tenant' ? value.slice(0, 8) : isWorded(name) ? spelled(value) : value;
        // It comes from a link, which anybody may have written.
        const label = plain(known);
        labels.set(value, label);
        choices.push({ value, label });
      }
    }
  }
  return { choices, labels };
}

function summary(name: FilterName, view: View, labels: Map<string, string>): string {
  if (name === 'period') {
    if (view.from || view.to) {
      const day = (at: string | null) => (at ? new Date(at).toLocaleDateString() : '…');
      return `${day(view.from)} – ${day(view.to)}`;
    }
    return PERIODS.find((one) => one.value === view.period)?.label ?? view.period;
  }
  const values = view[name];
  if (values.length === 0) return 'Any';
  return values.map((value) => labels.get(value) ?? spelled(value)).join(', ');
}

function Words({ name, choices, view, onChange }: { name: Worded; choices: Word[]; view: View; onChange: Props['onChange'] }) {
  const values = view[name];
  const toggle = (value: string) => {
    const next = values.includes(value) ? values.filter((one) => one !== value) : [...values, value];
    // In the order of the list, so that the same choice is the same address.
    const order = [...DEFAULTS[name], ...choices.map((choice) => choice.value)];
    onChange({ [name]: next.sort((a, b) => order.indexOf(a) - order.indexOf(b)) });
  };
  return (
    <>
      {choices.map((choice) => (
        <Checkbox
          key={choice.value}
          label={choice.label}
          checked={values.includes(choice.value)}
          onChange={() => toggle(choice.value)}
        />
      ))}
      <Button size="small" appearance="subtle" onClick={() => onChange({ [name]: [] })} disabledFocusable={values.length === 0}>
        Any
      </Button>
    </>
  );
}

function Values({
  name,
  choices,
  view,
  labels,
  onChange,
}: {
  name: Free;
  choices: Word[];
  view: View;
  labels: Map<string, string>;
  onChange: Props['onChange'];
}) {
  const [typed, setTyped] = useState('');
  const values = view[name];
  const add = (value: string) => {
    setTyped('');
    if (value && !values.includes(value)) onChange({ [name]: [...values, value] });
  };
  const fitting = choices.filter(
    (choice) => !values.includes(choice.value) && choice.label.toLowerCase().includes(typed.toLowerCase()),
  );
  let list: ReactNode = null;
  if (values.length) {
    list = (
      <TagGroup
        aria-label={`Chosen: ${LABELS[name]}`}
        onDismiss={(_, data) => onChange({ [name]: values.filter((value) => value !== data.value) })}
        style={{ flexWrap: 'wrap', gap: '4px', maxWidth: '280px' }}
      >
        {values.map((value) => (
          <Tag key={value} value={value} size="small" dismissible dismissIcon={{ 'aria-label': 'remove' }}>
            {labels.get(value) ?? value}
          </Tag>
        ))}
      </TagGroup>
    );
  }
  return (
    <>
      {list}
      <Combobox
        // Beside the pane, the list would be outside of what the pane keeps the focus in.
        inlinePopup
        freeform={name !== 'tenant'}
        aria-label={`Add a value: ${LABELS[name]}`}
        placeholder={name === 'tenant' ? 'Choose a customer' : 'Choose or type'}
        value={typed}
        selectedOptions={[]}
        onInput={(event) => setTyped((event.target as HTMLInputElement).value)}
        onOptionSelect={(_, data) => add(data.optionValue ?? '')}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && name !== 'tenant' && typed.trim() && fitting.length === 0) add(typed.trim());
        }}
      >
        {fitting.map((choice) => (
          <Option key={choice.value} value={choice.value}>
            {choice.label}
          </Option>
        ))}
        {typed.trim() && name !== 'tenant' && !choices.some((choice) => choice.label === typed.trim()) && (
          <Option key=" typed" value={typed.trim()} text={typed.trim()}>
            {`Use “${typed.trim()}”`}
          </Option>
        )}
      </Combobox>
    </>
  );
}

function Period({ view, onChange }: { view: View; onChange: Props['onChange'] }) {
  const custom = Boolean(view.from || view.to);
  const [own, setOwn] = useState(custom);
  const shown = (at: string | null) => (at ? toInput(new Date(at)) : '');
  return (
    <>
      <RadioGroup
        aria-label="Period"
        value={own ? 'own' : view.period}
        onChange={(_, data) => {
          setOwn(data.value === 'own');
          if (data.value !== 'own') onChange({ period: data.value, from: null, to: null });
        }}
      >
        {PERIODS.map((one) => (
          <Radio key={one.value} value={one.value} label={one.value === DEFAULT_PERIOD ? `${one.label} (usual)` : one.label} />
        ))}
        <Radio value="own" label="Custom" />
      </RadioGroup>
      {own && (
        <>
          <Field label="From">
            <Input
              type="datetime-local"
              value={shown(view.from)}
              onChange={(_, data) => onChange({ from: fromInput(data.value) })}
            />
          </Field>
          <Field label="To">
            <Input
              type="datetime-local"
              value={shown(view.to)}
              onChange={(_, data) => onChange({ to: fromInput(data.value) })}
            />
          </Field>
        </>
      )}
    </>
  );
}
