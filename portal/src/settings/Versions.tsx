import { Button } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Drafted, PolicyVersion } from '../api/hand';
import { Facts } from '../ui/Facts';
import { GuardedButton, type Leave } from '../ui/Guarded';
import { Json } from '../ui/Json';
import { Moment } from '../ui/Moment';
import { Panel } from '../ui/Panel';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Failure, Waiting } from '../ui/states';

/** Each version that was saved, to be read and begun from again. */
export function Versions({ current, may, onUse }: { current: number; may: Leave; onUse: (draft: Drafted) => void }) {
  const [shown, setShown] = useState<number | null>(null);
  const versions = useQuery({
    queryKey: ['authority', 'versions', current],
    queryFn: () => read(api.GET('/api/v1/authority/versions')),
  });
  if (current === 0) return null;
  const columns: Column<PolicyVersion>[] = [
    { id: 'version', label: 'Version', lead: true, cell: (one) => `Version ${one.version}${one.version === current ? ', in force' : ''}` },
    { id: 'note', label: 'Note', cell: (one) => one.note ?? '–' },
    { id: 'by', label: 'Saved by', minor: true, cell: (one) => one.savedBy },
    { id: 'at', label: 'Saved', nowrap: true, cell: (one) => <Moment at={one.savedDateTime} /> },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (one) => (
        <Button size="small" appearance="subtle" aria-label={`Show version ${one.version}`} onClick={() => setShown(one.version)}>
          Show
        </Button>
      ),
    },
  ];
  return (
    <Section title="Versions">
      {versions.isPending ? (
        <Waiting rows={2} />
      ) : versions.isError ? (
        <Failure error={versions.error} retry={() => void versions.refetch()} />
      ) : (
        <Table
          label="Versions"
          columns={columns}
          rows={versions.data.value}
          id={(one) => String(one.version)}
          name={(one) => `version ${one.version}`}
        />
      )}
      {shown !== null && (
        <Shown
          version={shown}
          may={may}
          onClose={() => setShown(null)}
          onUse={(draft) => {
            setShown(null);
            onUse(draft);
          }}
        />
      )}
    </Section>
  );
}

function Shown({ version, may, onClose, onUse }: { version: number; may: Leave; onClose: () => void; onUse: (draft: Drafted) => void }) {
  const one = useQuery({
    queryKey: ['authority', 'version', version],
    queryFn: () => read(api.GET('/api/v1/authority/versions/{version}', { params: { path: { version } } })),
  });
  return (
    <Panel
      open
      title={`Version ${version}`}
      onClose={onClose}
      footer={
        one.data && (
          <GuardedButton may={may} onClick={() => onUse(one.data.rules ? { rules: one.data.rules } : { text: one.data.text })}>
            Begin from this version
          </GuardedButton>
        )
      }
    >
      {one.isPending ? (
        <Waiting rows={6} />
      ) : one.isError ? (
        <Failure error={one.error} retry={() => void one.refetch()} />
      ) : (
        <>
          <Facts
            facts={[
              ['Saved', <Moment key="s" at={one.data.savedDateTime} as="second" />],
              ['By', one.data.savedBy],
              ['Note', one.data.note],
            ]}
          />
          <Json value={one.data.text} label={`Version ${version} in Cedar`} />
        </>
      )}
    </Panel>
  );
}
