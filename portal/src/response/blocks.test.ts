import { expect, it } from 'vitest';

import { gathered } from '../api/evidence';
import type { Alert, Task } from '../api/hand';
import { blocks } from '../ui/markdown';
import { deviceTimeline, evidenceTable, indicatorsOfAttack, indicatorsOfCompromise, inserted, verbatim, whatExpertsDid } from './blocks';

const alert = (title: string, at: string, evidence: Record<string, unknown>[] = [], rest: Partial<Alert> = {}): Alert =>
  ({
    id: title,
    title,
    category: 'Execution',
    createdDateTime: at,
    firstActivityDateTime: at,
    mitreTechniques: [],
    evidence: evidence.map(({ type, ...one }) => ({ '@odata.type': `#microsoft.graph.security.${String(type)}Evidence`, ...one })),
    ...rest,
  }) as unknown as Alert;

const LAPTOP = { type: 'device', deviceDnsName: 'lt-1' };
const SERVER = { type: 'device', deviceDnsName: 'srv-2' };

it('tells what happened on each device in its order, and in UTC', () => {
  const text = deviceTimeline([
    alert('Second', '2026-03-01T10:00:05Z', [LAPTOP]),
    alert('First', '2026-03-01T09:00:00Z', [LAPTOP, SERVER]),
    alert('Elsewhere', '2026-03-01T08:00:00Z'),
  ]);
  expect(text).toBe(
    [
      '## Device timeline',
      '',
      '`lt-1`:',
      '- **2026-03-01 09:00:00 UTC** First (execution)',
      '- **2026-03-01 10:00:05 UTC** Second (execution)',
      '',
      '`srv-2`:',
      '- **2026-03-01 09:00:00 UTC** First (execution)',
      '',
      '- **2026-03-01 08:00:00 UTC** Elsewhere (execution)',
      '',
    ].join('\n'),
  );
  expect(deviceTimeline([alert('One', '2026-03-01T10:00:00Z', [LAPTOP])])).toContain('## Timeline of lt-1\n\n- **2026');
});

it('lists techniques with what saw them, each once', () => {
  const at = '2026-03-01T10:00:00Z';
  expect(
    indicatorsOfAttack([
      alert('Script', at, [], { mitreTechniques: ['T1059', 'T1105'] }),
      alert('Script', at, [], { mitreTechniques: ['T1059'] }),
      alert('Mail', at),
    ]),
  ).toBe('## Indicators of attack\n\n- **Execution** Mail\n- **T1059** Script\n- **T1105** Script\n');
});

it('lists bad files by their hash, and leaves out what is good', () => {
  const rows = gathered([
    alert('A', '2026-03-01T10:00:00Z', [
      { type: 'file', verdict: 'malicious', fileDetails: { fileName: 'a|b`c`.exe', sha256: 'ab12' } },
      { type: 'ip', verdict: 'suspicious', ipAddress: '192.0.2.7' },
      { type: 'file', verdict: 'noThreatsFound', fileDetails: { fileName: 'good.exe' } },
      { type: 'user', verdict: 'malicious', userAccount: { userPrincipalName: 'ida@alder.example' } },
    ]),
  ]);
  expect(indicatorsOfCompromise(rows)).toBe(
    '## Indicators of compromise\n\n- File `a|b’c’.exe`, SHA-256 `ab12` (malicious)\n- IP address `192.0.2.7` (suspicious)\n',
  );
  // A bar in a name does not end its cell.
  const table = blocks(evidenceTable(rows)).find((block) => block.kind === 'table');
  expect(table?.kind === 'table' && table.rows.map((row) => row.length)).toEqual([4, 4, 4, 4]);
  expect(table?.kind === 'table' && table.rows.flat(2)).toContainEqual({ kind: 'code', text: 'a|b’c’.exe' });
});

it('says what the experts did, and only what is done', () => {
  const task = (state: string, source: string): Task =>
    ({
      state,
      source,
      displayName: 'Isolate device',
      target: { name: 'lt-1' },
      closed: { by: 'Signe Holm', at: '2026-03-01T10:00:00Z', because: null, verified: true },
    }) as unknown as Task;
  expect(
    whatExpertsDid([
      task('completed', 'defenderExpertsManagedResponse'),
      task('failed', 'defenderExpertsManagedResponse'),
      task('completed', 'defenderExpertsGuidedResponse'),
    ]),
  ).toBe(
    '## What the experts did\n\n- **2026-03-01 10:00:00 UTC** Isolate device on `lt-1` by Signe Holm, verified on the asset\n',
  );
});

it('no name of an incident becomes a mark, a link or a line of its own', () => {
  expect(verbatim('a\n# b')).toBe('`a # b`');
  expect(indicatorsOfAttack([alert('**x** [y](https://evil.example)\n# z', '2026-03-01T10:00:00Z')])).toBe(
    '## Indicators of attack\n\n- **Execution** x y(https://evil.example) # z\n',
  );
});

it('puts a block where the caret is, with an empty line around it', () => {
  expect(inserted('before\nafter', 6, '## T\n\n- x\n')).toEqual({ text: 'before\n\n## T\n\n- x\n\nafter', caret: 18 });
  expect(inserted('', 0, 'x').text).toBe('x\n');
});
