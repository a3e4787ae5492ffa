import { Field, Input, SpinButton, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { CustomerOnboarding, Stage, Tenant } from '../api/hand';
import { LANGUAGES, languageName } from '../api/languages';
import { Ask } from '../ui/Ask';
import { Choices } from '../ui/Choices';
import { CopyText } from '../ui/Copy';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { useToasts } from '../ui/Toasts';
import { Notice } from '../ui/states';

const useStyles = makeStyles({
  two: { display: 'flex', flexDirection: 'column', alignItems: 'flex-start', gap: '2px', minWidth: '200px', overflowWrap: 'anywhere' },
  small: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2 },
});

const STAGES: Record<Stage, { label: string; color: 'informative' | 'warning' | 'brand' | 'success' }> = {
  invited: { label: 'Invited', color: 'informative' },
  setUp: { label: 'Setup', color: 'informative' },
  readinessPending: { label: 'Not ready', color: 'warning' },
  monitoring: { label: 'Monitoring', color: 'brand' },
  active: { label: 'Active', color: 'success' },
};
const MAILS = { waiting: 'on its way', delivered: 'delivered', dead: 'not delivered', cancelled: 'not sent' };

/** How far a customer is, and what is missing (ONB-5). */
export function Service({ of }: { of: CustomerOnboarding }) {
  const styles = useStyles();
  const begun = of.stage !== 'invited' && of.stage !== 'setUp';
  return (
    <span className={styles.two}>
      <Mark look={STAGES[of.stage]} />
      {of.invited && (
        <span className={styles.small}>
          {of.invited}
          {of.welcome && <>: welcome mail {MAILS[of.welcome.state]}</>}
          {of.welcome?.because && <>. {sentence(of.welcome.because)}</>}
          {of.linkEndsDateTime && (
            <>
              {'; '}
              link until <Moment at={of.linkEndsDateTime} as="day" />
            </>
          )}
        </span>
      )}
      {of.monitoringEndsDateTime && (
        <span className={styles.small}>
          ends <Moment at={of.monitoringEndsDateTime} as="distance" />
        </span>
      )}
      {begun && of.missing.length > 0 && <span className={styles.small}>{of.stage === 'active' ? 'Lapsed' : 'Missing'}: {of.missing.join('; ')}</span>}
    </span>
  );
}

type Sent = { setupUrl: string; expiresDateTime: string };

/** A dialog that asks, writes to somebody, and then shows the link of the mail this once. */
function Inviting(props: { title: string; act: string; ready: boolean; done: string; onClose: () => void; onAct: () => Promise<Sent | null>; children: ReactNode }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  const [link, setLink] = useState<Sent | null>(null);
  if (link) {
    return (
      <Ask open title={props.done} act="Done" shows onClose={props.onClose} onAct={async () => undefined}>
        <Notice intent="warning">
          The welcome mail brings this link. It is shown this once, should the mail not arrive, and works once, until{' '}
          <Moment at={link.expiresDateTime} />.
        </Notice>
        <CopyText text={link.setupUrl} label="Copy the link" />
      </Ask>
    );
  }
  return (
    <Ask
      open
      title={props.title}
      act={props.act}
      ready={props.ready}
      onClose={props.onClose}
      onAct={async () => {
        const made = await props.onAct();
        await queries.invalidateQueries({ queryKey: ['tenants'] });
        if (!made) return toasts.done(props.done);
        setLink(made);
        return 'stay';
      }}
    >
      {props.children}
    </Ask>
  );
}

function Language({ value, onChoose }: { value: string; onChoose: (language: string) => void }) {
  return (
    <Field label="Language" hint="Of the welcome mail">
      <Choices choices={Object.keys(LANGUAGES).map((id) => ({ value: id, label: languageName(id) }))} value={value} onChoose={onChoose} />
    </Field>
  );
}

/** Adds a customer and writes to its first administrator (NOT-3). */
export function AddCustomer({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [language, setLanguage] = useState('en');
  return (
    <Inviting
      title="Add a customer"
      act="Add"
      ready={name.trim() !== '' && (email.trim() === '' || email.includes('@'))}
      done={`${name.trim()} is added.`}
      onClose={onClose}
      onAct={async () => {
        const to = email.trim() ? { email: email.trim(), language } : {};
        const { setupUrl, expiresDateTime } = await read(api.POST('/api/v1/tenants', { body: { name: name.trim(), ...to } }));
        return setupUrl && expiresDateTime ? { setupUrl, expiresDateTime } : null;
      }}
    >
      <Field label="Name" required>
        <Input value={name} maxLength={200} onChange={(_, data) => setName(data.value)} />
      </Field>
      <Field label="First administrator’s e-mail" hint="Gets the welcome mail with the link that opens the setup. It can be invited later as well">
        <Input type="email" value={email} onChange={(_, data) => setEmail(data.value)} />
      </Field>
      <Language value={language} onChoose={setLanguage} />
      <Notice>Experts see nothing of a new customer until its administrator grants it.</Notice>
    </Inviting>
  );
}

export function InviteAdministrator({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const [email, setEmail] = useState('');
  const [language, setLanguage] = useState('en');
  return (
    <Inviting
      title={`Invite the first administrator of ${tenant.name}`}
      act="Create the link"
      ready={email.includes('@')}
      done={`Invitation to ${tenant.name}`}
      onClose={onClose}
      onAct={() =>
        read(api.POST('/api/v1/people', { body: { email: email.trim(), role: 'Security Administrator', tenantId: tenant.id, language } }))
      }
    >
      <Field label="E-mail" required>
        <Input type="email" value={email} onChange={(_, data) => setEmail(data.value)} />
      </Field>
      <Language value={language} onChoose={setLanguage} />
    </Inviting>
  );
}

/** The link of the mail before ends; another address takes the place of one that was wrong. */
export function WelcomeAgain({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const [email, setEmail] = useState(tenant.onboarding.invited ?? '');
  const [language, setLanguage] = useState(tenant.onboarding.language ?? 'en');
  return (
    <Inviting
      title={`Send the welcome mail to ${tenant.name} again`}
      act="Send"
      ready={email.trim() === '' || email.includes('@')}
      done={`The welcome mail to ${tenant.name} is on its way.`}
      onClose={onClose}
      onAct={() => {
        const to = email.trim() ? { email: email.trim() } : {};
        return read(api.POST('/api/v1/tenants/{id}/welcome', { params: { path: { id: tenant.id } }, body: { ...to, language } }));
      }}
    >
      {tenant.onboarding.invited && (
        <Field label="E-mail" hint="Another address invites another person, and this one no longer">
          <Input type="email" value={email} onChange={(_, data) => setEmail(data.value)} />
        </Field>
      )}
      <Language value={language} onChoose={setLanguage} />
      <Notice>The link of the mail before stops working.</Notice>
    </Inviting>
  );
}

const MOST_DAYS = 30;
const count = (text: string): number | null | undefined => {
  if (text.trim() === '') return null;
  return /^\d{1,8}$/.test(text.trim()) ? Number(text) : undefined;
};

/** What is to be protected, and for how long a customer is monitored. */
export function OnboardingSettings({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  const { targets, monitoringDays } = tenant.onboarding;
  const [devices, setDevices] = useState(targets?.devices?.toString() ?? '');
  const [identities, setIdentities] = useState(targets?.identities?.toString() ?? '');
  const [days, setDays] = useState(monitoringDays ?? 7);
  const wanted = { devices: count(devices), identities: count(identities) };
  const bad = (value: number | null | undefined) =>
    value === undefined ? ({ validationState: 'error', validationMessage: 'A whole number, or nothing' } as const) : {};
  return (
    <Ask
      open
      title={`Targets and monitoring of ${tenant.name}`}
      act="Save"
      ready={wanted.devices !== undefined && wanted.identities !== undefined}
      onClose={onClose}
      onAct={async () => {
        const body = { targets: { devices: wanted.devices ?? null, identities: wanted.identities ?? null }, monitoringDays: days };
        await read(api.PATCH('/api/v1/tenants/{id}/onboarding', { params: { path: { id: tenant.id } }, body }));
        await queries.invalidateQueries({ queryKey: ['tenants'] });
        toasts.done(`${tenant.name} is saved.`);
      }}
    >
      <Field label="Devices to be protected" hint="Such as those that are licensed. Empty: those with an agent" {...bad(wanted.devices)}>
        <Input inputMode="numeric" value={devices} onChange={(_, data) => setDevices(data.value)} />
      </Field>
      <Field label="Identities to be protected" hint="Empty: the users that are known" {...bad(wanted.identities)}>
        <Input inputMode="numeric" value={identities} onChange={(_, data) => setIdentities(data.value)} />
      </Field>
      <Field label="Days of monitoring" hint="0 to 30">
        <SpinButton
          value={days}
          min={0}
          max={MOST_DAYS}
          onChange={(_, data) => {
            const now = Number(data.value ?? data.displayValue);
            if (Number.isFinite(now)) setDays(Math.max(0, Math.min(MOST_DAYS, Math.round(now))));
          }}
        />
      </Field>
    </Ask>
  );
}

export function EndMonitoring({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  const [because, setBecause] = useState('');
  return (
    <Ask
      open
      title={`End the monitoring of ${tenant.name}`}
      act="End monitoring"
      ready={because.trim().length >= 5}
      onClose={onClose}
      onAct={async () => {
        await read(api.POST('/api/v1/tenants/{id}/end-monitoring', { params: { path: { id: tenant.id } }, body: { because: because.trim() } }));
        await queries.invalidateQueries({ queryKey: ['tenants'] });
        toasts.done(`${tenant.name} is active.`);
      }}
    >
      <Notice intent="warning">From then on experts act there, as far as the customer’s permissions and policy allow. A customer that is active stays so.</Notice>
      <Field label="Reason" required hint="At least five characters; it stays on record">
        <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
      </Field>
    </Ask>
  );
}
