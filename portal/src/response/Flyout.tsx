import { Tab, TabList } from '@fluentui/react-components';
import type { ComponentType } from 'react';
import { useSearchParams } from 'react-router';

import type { Incident } from '../api/hand';
import { Panel } from '../ui/Panel';
import { Empty, Failure, Waiting } from '../ui/states';
import { ActionsPart, SummaryPart } from './Parts';
import { useResponse } from './data';

const PARTS = [
  { id: 'summary', label: 'Investigation summary' },
  { id: 'actions', label: 'Actions' },
  { id: 'chat', label: 'Chat' },
] as const;
type Part = (typeof PARTS)[number]['id'];

/** MR-1: the managed response over the incident; which part of it stands in the address. */
export default function Flyout({ incident, chat }: { incident: Incident; chat: ComponentType<{ id: string }> }) {
  const [params, setParams] = useSearchParams();
  const asked = params.get('response');
  if (asked === null) return null;
  const part = PARTS.find((one) => one.id === asked)?.id ?? 'actions';
  const set = (value: string | null) => {
    const next = new URLSearchParams(params);
    if (value === null) next.delete('response');
    else next.set('response', value);
    setParams(next, { replace: true });
  };
  return <Shown incident={incident} part={part} onPart={set} chat={chat} />;
}

type Props = { incident: Incident; part: Part; onPart: (part: string | null) => void; chat: ComponentType<{ id: string }> };

function Shown({ incident, part, onPart, chat: Chat }: Props) {
  const response = useResponse(incident.id);
  return (
    <Panel title="Managed response" open wide onClose={() => onPart(null)}>
      <TabList selectedValue={part} onTabSelect={(_, data) => onPart(String(data.value))} aria-label="Parts of the managed response">
        {PARTS.map((one) => (
          <Tab key={one.id} value={one.id} id={`response-${one.id}`}>
            {one.label}
          </Tab>
        ))}
      </TabList>
      <div role="tabpanel" aria-labelledby={`response-${part}`}>
        {response.isPending ? (
          <Waiting rows={6} label="Loading the managed response" />
        ) : !response.data ? (
          <Failure error={response.error} retry={() => void response.refetch()} />
        ) : part === 'summary' ? (
          <SummaryPart response={response.data} />
        ) : part === 'actions' ? (
          <ActionsPart response={response.data} />
        ) : response.data.conversationId ? (
          <Chat id={response.data.conversationId} />
        ) : (
          <Empty title="No chat yet">It opens with the managed response, once the experts have published it.</Empty>
        )}
      </div>
    </Panel>
  );
}
