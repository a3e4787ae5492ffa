import { Tab, TabList, makeStyles, tokens } from '@fluentui/react-components';
import { AddRegular } from '@fluentui/react-icons';
import { useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';

import { sentence } from '../api/error';
import { GuardedButton } from '../ui/Guarded';
import { Page } from '../ui/Page';
import { Failure, Notice, Waiting } from '../ui/states';
import { ChatChannels } from './ChatChannels';
import { Contacts } from './Contacts';
import { Deliveries } from './Deliveries';
import { LadderPart } from './LadderPart';
import { MailRules } from './MailRules';
import { Previews } from './Previews';
import { Reminders } from './Reminders';
import { Webhooks } from './Webhooks';
import { WholeResponse } from './WholeResponse';
import { useLive, useSettings } from './data';

const useStyles = makeStyles({
  tabs: { overflowX: 'auto', marginInline: '-8px', borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  part: { display: 'flex', flexDirection: 'column', gap: '16px', minWidth: 0 },
});

const TABS = [
  { id: 'contacts', label: 'Contacts', add: 'Add a contact' },
  { id: 'rules', label: 'Mail rules', add: 'Add a mail rule' },
  { id: 'chat', label: 'Chat and on-call', add: 'Connect a channel' },
  { id: 'webhooks', label: 'Webhooks', add: 'Add a webhook' },
  { id: 'ladder', label: 'Ladder', add: null },
  { id: 'reminders', label: 'Reminders and contents', add: null },
  { id: 'deliveries', label: 'Deliveries', add: null },
  { id: 'messages', label: 'Messages we send', add: null },
] as const;

/** NOT: who is told what, how, and whether it arrived. */
export default function Notifications() {
  const styles = useStyles();
  const tabs = useRef<HTMLDivElement>(null);
  const [params, setParams] = useSearchParams();
  const settings = useSettings();
  useLive();
  const [adding, setAdding] = useState(false);
  const tab = TABS.find((one) => one.id === params.get('tab')) ?? TABS[0];
  // On a phone the row of tabs is wider than the screen.
  useEffect(() => {
    tabs.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [tab.id, settings.isSuccess]);
  const may = settings.data?.may.change;
  return (
    <Page
      title="Notifications"
      lead="Who is told when experts respond, write, or wait for you, and whether it arrived."
      actions={
        tab.add &&
        !settings.isError && (
          <GuardedButton appearance="primary" icon={<AddRegular />} may={may} onClick={() => setAdding(true)}>
            {tab.add}
          </GuardedButton>
        )
      }
    >
      {settings.isPending ? (
        <Waiting rows={8} />
      ) : settings.isError ? (
        <Failure error={settings.error} retry={() => void settings.refetch()} />
      ) : (
        <>
          {!settings.data.mail.isSetUp && (
            <Notice intent="warning" title="No mail leaves here yet.">
              Your provider has set up no mail server. Mails wait until there is one; webhooks and team chat are not affected.
            </Notice>
          )}
          {may && !may.allowed && <Notice>{sentence(may.because ?? 'You cannot change this.')}</Notice>}
          <div className={styles.tabs} ref={tabs}>
            <TabList
              selectedValue={tab.id}
              onTabSelect={(_, data) => setParams(data.value === 'contacts' ? {} : { tab: String(data.value) })}
              aria-label="Parts of notifications"
            >
              {TABS.map((one) => (
                <Tab key={one.id} value={one.id} id={`tab-${one.id}`}>
                  {one.label}
                </Tab>
              ))}
            </TabList>
          </div>
          <div role="tabpanel" aria-labelledby={`tab-${tab.id}`} className={styles.part}>
            {tab.id === 'contacts' && <Contacts settings={settings.data} adding={adding} onAdded={() => setAdding(false)} />}
            {tab.id === 'rules' && <MailRules settings={settings.data} adding={adding} onAdded={() => setAdding(false)} />}
            {tab.id === 'chat' && <ChatChannels settings={settings.data} adding={adding} onAdded={() => setAdding(false)} />}
            {tab.id === 'webhooks' && <Webhooks settings={settings.data} adding={adding} onAdded={() => setAdding(false)} />}
            {tab.id === 'ladder' && <LadderPart />}
            {tab.id === 'reminders' && (
              <>
                <Reminders settings={settings.data} />
                <WholeResponse settings={settings.data} />
              </>
            )}
            {tab.id === 'deliveries' && <Deliveries may={settings.data.may.change} />}
            {tab.id === 'messages' && <Previews settings={settings.data} />}
          </div>
        </>
      )}
    </Page>
  );
}
