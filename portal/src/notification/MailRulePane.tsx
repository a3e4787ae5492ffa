import {
  Button,
  Dropdown,
  Field,
  Input,
  Option,
  OptionGroup,
  Radio,
  RadioGroup,
  Switch,
  makeStyles,
} from '@fluentui/react-components';
import { AddRegular, DismissRegular } from '@fluentui/react-icons';
import { useState } from 'react';

import type { ActionsWanted, IncidentsWanted, MailRuleChoice, RuleChoices, RuleSource } from '../api/hand';
import { sourceName, spelled } from '../api/words';
import { Choices } from '../ui/Choices';
import { FormPanel } from '../ui/FormPanel';
import { Section } from '../ui/Section';
import { Ticks } from '../ui/Ticks';
import { languageName, ruleSource } from './words';

const useStyles = makeStyles({
  choice: { minWidth: 0, width: '100%' },
  row: { display: 'flex', flexWrap: 'wrap', gap: '8px', alignItems: 'start' },
  beside: { marginTop: '26px' },
  wide: { flex: '1 1 180px', minWidth: 0 },
  narrow: { flex: '0 1 170px', minWidth: 0, '& .fui-Dropdown': { minWidth: 0, width: '100%' } },
});

type Said = 'name' | 'recipients' | 'sources' | 'deviceGroups';

/** How the server's refusals begin, for each field. */
const ABOUT: [Said, RegExp][] = [
  ['recipients', /^recipients\b/i],
  ['sources', /^sources\b/i],
  ['deviceGroups', /^deviceGroups\b/i],
  ['name', /\bname\b/i],
];

const NO_ACTIONS: ActionsWanted = { about: 'actions', origins: [], actions: [], deviceGroups: [], outcomes: [] };
const NO_INCIDENTS: IncidentsWanted = { about: 'incidents', severities: ['high'], sources: [], deviceGroups: [], oncePerIncident: false };

const ORIGINS = [
  { value: 'manual', label: 'Manual: somebody asked for it' },
  { value: 'automated', label: 'Automated: a program did, or it was due' },
] as const;
const OUTCOMES = [
  { value: 'completed', label: 'Completed' },
  { value: 'failed', label: 'Failed' },
] as const;

/** One mail rule in a form. */
export function MailRulePane(props: {
  title: string;
  act: string;
  /** Whether it may still become a rule of the other kind. */
  fresh?: boolean;
  choices: RuleChoices;
  given: MailRuleChoice;
  onClose: () => void;
  onAct: (choice: MailRuleChoice) => Promise<void>;
}) {
  const styles = useStyles();
  const [draft, setDraft] = useState(props.given);
  const set = (change: Partial<MailRuleChoice>) => setDraft((now) => ({ ...now, ...change }));
  const { when, recipients } = draft;
  const named = recipients.filter((one) => one.email.trim() !== '');
  const act = () =>
    props.onAct({ ...draft, name: draft.name.trim(), recipients: named.map((one) => ({ ...one, email: one.email.trim() })) });
  const recipient = (place: number, change: Partial<MailRuleChoice['recipients'][number]>) =>
    set({ recipients: recipients.map((one, at) => (at === place ? { ...one, ...change } : one)) });
  return (
    <FormPanel title={props.title} act={props.act} about={ABOUT} onClose={props.onClose} onAct={act}>
      {(at) => (
        <>
          <Field label="Name" required hint="Who gets a mail reads it at its foot" {...at('name')}>
            <Input required autoComplete="off" maxLength={200} value={draft.name} onChange={(_, data) => set({ name: data.value })} />
          </Field>
          {props.fresh && (
            <Field label="About">
              <RadioGroup
                layout="horizontal"
                value={when.about}
                onChange={(_, data) => set({ when: data.value === 'actions' ? NO_ACTIONS : NO_INCIDENTS })}
              >
                <Radio value="incidents" label="Incidents" />
                <Radio value="actions" label="Response actions" />
              </RadioGroup>
            </Field>
          )}
          {when.about === 'incidents' ? (
            <Incidents when={when} choices={props.choices} said={at('sources')} onWhen={(next) => set({ when: next })} />
          ) : (
            <Actions when={when} choices={props.choices} onWhen={(next) => set({ when: next })} />
          )}
          <Field label="Device groups" hint={groupHint(props.choices, when.deviceGroups)} {...at('deviceGroups')}>
            <Several
              placeholder={when.about === 'incidents' ? 'Every device' : 'Every device, and what is done to none'}
              groups={[{ label: 'Device groups', options: [...new Set([...props.choices.deviceGroups, ...when.deviceGroups])].map(plain) }]}
              value={when.deviceGroups}
              onValue={(deviceGroups) => set({ when: { ...when, deviceGroups } })}
            />
          </Field>
          <Section title="The mail" plain>
            {when.about === 'incidents' && (
              <Switch
                label="Only once per incident"
                checked={when.oncePerIncident}
                onChange={(_, data) => set({ when: { ...when, oncePerIncident: data.checked } })}
              />
            )}
            <Switch
              label="Begin the subject with the organisation’s name"
              checked={draft.organisationName}
              onChange={(_, data) => set({ organisationName: data.checked })}
            />
            <Switch
              label="Name the organisation in the link, for people of several"
              checked={draft.tenantLink}
              onChange={(_, data) => set({ tenantLink: data.checked })}
            />
          </Section>
          <Section title="Recipients" plain>
            {recipients.map((one, place) => (
              <div key={place} className={styles.row}>
                <Field className={styles.wide} label={`E-mail ${place + 1}`} required={place === 0} {...(place === 0 ? at('recipients') : {})}>
                  <Input type="email" autoComplete="off" required={place === 0} value={one.email} onChange={(_, data) => recipient(place, { email: data.value })} />
                </Field>
                <Field className={styles.narrow} label={`Language ${place + 1}`}>
                  <Choices
                    choices={props.choices.languages.map((value) => ({ value, label: languageName(value) }))}
                    value={one.language}
                    onChoose={(language) => recipient(place, { language })}
                  />
                </Field>
                {recipients.length > 1 && (
                  <Button
                    className={styles.beside}
                    appearance="subtle"
                    icon={<DismissRegular />}
                    aria-label={`Remove recipient ${place + 1}`}
                    onClick={() => set({ recipients: recipients.filter((_, other) => other !== place) })}
                  />
                )}
              </div>
            ))}
            <div>
              <Button size="small" icon={<AddRegular />} onClick={() => set({ recipients: [...recipients, { email: '', language: recipients.at(-1)?.language ?? 'en' }] })}>
                Add a recipient
              </Button>
            </div>
          </Section>
        </>
      )}
    </FormPanel>
  );
}

type Choice = { value: string; label: string };
const plain = (value: string): Choice => ({ value, label: value });

const groupHint = (choices: RuleChoices, chosen: string[]): string =>
  choices.deviceGroups.length + chosen.length > 0 ? 'Every device when none is chosen' : 'No device group is known yet; every device counts';

/** Several of a list. */
function Several(props: {
  placeholder: string;
  groups: { label: string; options: Choice[] }[];
  value: string[];
  onValue: (value: string[]) => void;
}) {
  const { placeholder, groups, value, onValue, ...rest } = props;
  const styles = useStyles();
  const labels = groups.flatMap((group) => group.options);
  const label = (one: string) => labels.find((choice) => choice.value === one)?.label ?? one;
  return (
    <Dropdown
      {...rest}
      multiselect
      className={styles.choice}
      placeholder={placeholder}
      value={value.map(label).join(', ')}
      selectedOptions={value}
      onOptionSelect={(_, data) => onValue(data.selectedOptions)}
    >
      {groups.map((group) => (
        <OptionGroup key={group.label} label={group.label}>
          {group.options.map((one) => (
            <Option key={one.value} value={one.value} text={one.label}>
              {one.label}
            </Option>
          ))}
        </OptionGroup>
      ))}
    </Dropdown>
  );
}

/** A source as one value of a list; a blank is in no word of the contract. */
const keyOf = (source: RuleSource): string => `${source.service ?? ''} ${source.detection ?? ''}`;

function Incidents(props: {
  when: IncidentsWanted;
  choices: RuleChoices;
  said: object;
  onWhen: (when: IncidentsWanted) => void;
}) {
  const { when, choices, onWhen } = props;
  const known = when.sources.map((one) => ({ value: keyOf(one), label: ruleSource(one) }));
  const services = choices.serviceSources.map((word) => ({ value: `${word} `, label: sourceName(word) }));
  const detections = choices.detectionSources.map((word) => ({ value: ` ${word}`, label: sourceName(word) }));
  const offered = new Set([...services, ...detections].map((one) => one.value));
  const pairs = known.filter((one) => !offered.has(one.value));
  const choose = (keys: string[]) =>
    onWhen({
      ...when,
      sources: keys.map((key) => {
        const [service = '', detection = ''] = key.split(' ');
        const before = when.sources.find((one) => keyOf(one) === key);
        return before ?? { service: service || null, detection: detection || null, severities: null };
      }),
    });
  const severities = choices.severities.map((value) => ({ value, label: spelled(value) }));
  return (
    <>
      <Ticks
        label="Severities"
        hint="Of the alert, or given to the incident by hand. Every one when none is chosen"
        words={severities}
        value={when.severities}
        onValue={(chosen) => onWhen({ ...when, severities: chosen })}
      />
      <Field label="Sources" hint="Every source when none is chosen" {...props.said}>
        <Several
          placeholder="Every source"
          groups={[
            { label: 'Service sources', options: services },
            { label: 'Detection sources', options: detections },
            ...(pairs.length > 0 ? [{ label: 'Both', options: pairs }] : []),
          ]}
          value={when.sources.map(keyOf)}
          onValue={choose}
        />
      </Field>
      {when.sources.map((source) => (
        <Field key={keyOf(source)} label={`Severities from ${ruleSource(source)}`}>
          <Several
            placeholder="As above"
            groups={[{ label: 'Severities', options: severities }]}
            value={source.severities ?? []}
            onValue={(own) =>
              onWhen({
                ...when,
                sources: when.sources.map((one) => (one === source ? { ...one, severities: own.length > 0 ? own : null } : one)),
              })
            }
          />
        </Field>
      ))}
    </>
  );
}

function Actions({ when, choices, onWhen }: { when: ActionsWanted; choices: RuleChoices; onWhen: (when: ActionsWanted) => void }) {
  return (
    <>
      <Ticks label="Source" hint="Either when none is chosen" words={ORIGINS} value={when.origins} onValue={(origins) => onWhen({ ...when, origins })} />
      <Field label="Actions" hint="Every action when none is chosen">
        <Several
          placeholder="Every action"
          groups={[{ label: 'Actions', options: choices.actions.map(({ word, title }) => ({ value: word, label: title })) }]}
          value={when.actions}
          onValue={(actions) => onWhen({ ...when, actions })}
        />
      </Field>
      <Ticks label="Status" hint="Either when none is chosen" words={OUTCOMES} value={when.outcomes} onValue={(outcomes) => onWhen({ ...when, outcomes })} />
    </>
  );
}
