import { describe, expect, it } from 'vitest';

import { filterOf, filtersOnly, orderOf, PRESETS, readView, searchOf, writeView } from './query';

const now = new Date('2026-03-10T12:34:56Z');
const view = (query: string) => readView(new URLSearchParams(query));

describe('the address of the queue', () => {
  it('without parameters means new and in progress, high to low, of six months', () => {
    expect(filterOf(view(''), now)).toBe(
      "(status eq 'active' or status eq 'inProgress') and " +
        "(severity eq 'high' or severity eq 'medium' or severity eq 'low') and " +
        'lastUpdateDateTime ge 2025-09-08T12:00:00.000Z',
    );
    expect(orderOf(view(''))).toBe('lastUpdateDateTime desc');
    expect(writeView(view('')).toString()).toBe('');
  });

  it('says the same after reading and writing', () => {
    for (const query of [
      'status=all',
      'status=resolved&severity=high&tag=a%2Cb&tag=c&sort=-severity',
      'assigned=-&q=laptop+11&columns=id%2Cname',
      'from=2026-01-01T00%3A00%3A00.000Z&period=1w&open=42',
      ...PRESETS.map((preset) => preset.query),
    ]) {
      expect(writeView(view(writeView(view(query)).toString())).toString()).toBe(writeView(view(query)).toString());
    }
  });

  it('quotes what people typed', () => {
    expect(filterOf(view("status=all&severity=all&period=all&assigned=O'Brien' or 1 eq 1"), now)).toBe(
      "assignedTo eq 'O''Brien'' or 1 eq 1'".replace(/^(.*)$/, '($1)'),
    );
    expect(searchOf(view('q=a"b OR %5C'))).toBe('"a" AND "b" AND "OR"');
  });

  it('asks the alerts for what they alone know', () => {
    expect(filterOf(view('status=all&severity=all&period=all&detection=antivirus&rule=R7&determination=phishing,malware'), now)).toBe(
      "(determination eq 'phishing' or determination eq 'malware') and " +
        "alerts/any(a: a/detectionSource eq 'antivirus') and alerts/any(a: a/detectorId eq 'R7')",
    );
  });

  it('takes no words that are none', () => {
    expect(view("status=active') or (1 eq 1").status).toEqual([]);
    expect(view('sort=a,b desc').sort.by).toBe('lastUpdateDateTime');
    expect(view('period=9y').period).toBe('6m');
  });

  it('finds an incident by either kind of tag', () => {
    expect(filterOf(view('status=all&severity=all&period=all&tag=x'), now)).toBe(
      "(customTags/any(t: t eq 'x') or systemTags/any(t: t eq 'x'))",
    );
    expect(filterOf(view('status=all&severity=all&period=all&assigned=-'), now)).toBe('assignedTo eq null');
  });

  it('compares presets by their filters alone', () => {
    expect(filtersOnly(view('sort=id&open=4&q=x&columns=id'))).toBe('');
  });
});
