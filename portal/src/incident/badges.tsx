import {
  Badge,
  Popover,
  PopoverSurface,
  PopoverTrigger,
  makeStyles,
  mergeClasses,
  tokens,
} from '@fluentui/react-components';

import { NAMES, lasting } from '../api/clock-words';
import type { IncidentRow } from '../api/hand';
import { useWords } from '../api/use-words';
import { labelOf } from '../api/words';
import { local } from '../ui/time';

const useStyles = makeStyles({
  missed: { color: tokens.colorPaletteRedForeground1, fontWeight: tokens.fontWeightSemibold },
  line: { display: 'inline-flex', alignItems: 'center', gap: '6px', whiteSpace: 'nowrap' },
  bars: { display: 'inline-flex', gap: '2px', alignItems: 'flex-end' },
  bar: { width: '4px', height: '12px', borderRadius: '1px', backgroundColor: tokens.colorNeutralStroke2 },
  high: { backgroundColor: tokens.colorPaletteRedBackground3 },
  medium: { backgroundColor: tokens.colorPaletteDarkOrangeBackground3 },
  low: { backgroundColor: tokens.colorPaletteMarigoldBackground3 },
  informational: { backgroundColor: tokens.colorNeutralForeground3 },
  tags: { display: 'flex', flexWrap: 'wrap', gap: '4px' },
  tag: {
    display: 'inline-block',
    maxWidth: '170px',
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    whiteSpace: 'nowrap',
    lineHeight: '18px',
  },
  score: {
    font: 'inherit',
    fontVariantNumeric: 'tabular-nums',
    fontWeight: tokens.fontWeightSemibold,
    minWidth: '34px',
    padding: '1px 8px',
    borderRadius: tokens.borderRadiusCircular,
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    backgroundColor: tokens.colorNeutralBackground1,
    color: tokens.colorNeutralForeground1,
    cursor: 'pointer',
    textAlign: 'center',
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: '1px' },
  },
  top: {
    color: tokens.colorPaletteRedForeground1,
    border: `1px solid ${tokens.colorPaletteRedBorder2}`,
    backgroundColor: tokens.colorPaletteRedBackground1,
  },
  middle: {
    color: tokens.colorPaletteDarkOrangeForeground1,
    border: `1px solid ${tokens.colorPaletteDarkOrangeBorder2}`,
    backgroundColor: tokens.colorPaletteDarkOrangeBackground1,
  },
  factors: { listStyleType: 'none', margin: '8px 0 0', padding: 0, display: 'grid', gap: '6px' },
  factor: { display: 'grid', gridTemplateColumns: '36px 1fr', gap: '8px' },
  why: { display: 'inline-block', '::first-letter': { textTransform: 'uppercase' } },
  points: { textAlign: 'end', fontVariantNumeric: 'tabular-nums', color: tokens.colorNeutralForeground2 },
  surface: { maxWidth: '340px' },
  heading: { margin: 0, fontSize: tokens.fontSizeBase300 },
});

const LEVEL: Record<string, number> = { informational: 1, low: 1, medium: 2, high: 3 };

export function Severity({ value }: { value: string }) {
  const styles = useStyles();
  const { severity } = useWords();
  const level = LEVEL[value] ?? 0;
  const colour = styles[value as 'high' | 'medium' | 'low' | 'informational'] as string | undefined;
  return (
    <span className={styles.line}>
      <span className={styles.bars} aria-hidden>
        {[1, 2, 3].map((bar) => (
          <span key={bar} className={mergeClasses(styles.bar, bar <= level && colour)} />
        ))}
      </span>
      {labelOf(severity, value)}
    </span>
  );
}

const STATUS_COLOUR: Record<string, 'brand' | 'warning' | 'success' | 'subtle' | 'informative'> = {
  active: 'brand',
  inProgress: 'brand',
  awaitingAction: 'warning',
  resolved: 'success',
  redirected: 'subtle',
};

export function Status({ value }: { value: string }) {
  const { status } = useWords();
  return (
    <Badge appearance={value === 'inProgress' ? 'filled' : 'tint'} color={STATUS_COLOUR[value] ?? 'informative'} shape="rounded">
      {labelOf(status, value)}
    </Badge>
  );
}

/** System tags are told apart from those that people gave. */
export function Tags({ row, most }: { row: Pick<IncidentRow, 'systemTags' | 'customTags'>; most?: number }) {
  const styles = useStyles();
  const all = [
    ...row.systemTags.map((tag) => ({ tag, system: true })),
    ...row.customTags.map((tag) => ({ tag, system: false })),
  ];
  if (all.length === 0) return null;
  const shown = all.slice(0, most ?? all.length);
  const more = all.slice(shown.length);
  return (
    <span className={styles.tags}>
      {shown.map(({ tag, system }) => (
        <Badge
          key={`${system} ${tag}`}
          className={styles.tag}
          appearance="outline"
          color={system ? 'important' : 'informative'}
          title={system ? `${tag} (system tag)` : tag}
        >
          {tag}
        </Badge>
      ))}
      {more.length > 0 && (
        <Badge appearance="ghost" color="informative" title={more.map(({ tag }) => tag).join(', ')}>
          +{more.length}
        </Badge>
      )}
    </span>
  );
}

/** TRI-7: the score, and on demand what it is the sum of. */
export function Priority({ row }: { row: Pick<IncidentRow, 'priorityScore' | 'priorityFactors'> }) {
  const styles = useStyles();
  const score = row.priorityScore;
  if (score === null) return <span title="Not computed">–</span>;
  return (
    <Popover withArrow trapFocus>
      <PopoverTrigger disableButtonEnhancement>
        <button
          type="button"
          className={mergeClasses(styles.score, score > 85 ? styles.top : score >= 15 ? styles.middle : undefined)}
          aria-label={`Priority ${score}: show why`}
        >
          {score}
        </button>
      </PopoverTrigger>
      <PopoverSurface className={styles.surface} aria-label="Why this priority" tabIndex={-1}>
        <h3 className={styles.heading}>Priority {score} of 100</h3>
        <ul className={styles.factors}>
          {row.priorityFactors.map((factor) => (
            <li key={factor.name} className={styles.factor}>
              <span className={styles.points}>
                {factor.points >= 0 ? '+' : '−'}
                {Math.abs(factor.points)}
              </span>
              <span className={styles.why}>{factor.why}</span>
            </li>
          ))}
        </ul>
      </PopoverSurface>
    </Popover>
  );
}

/** What of an incident is due next, and when. */
export function NextDue({ of }: { of: IncidentRow['nextDue'] }) {
  const styles = useStyles();
  if (!of) return <>–</>;
  const left = (new Date(of.dueDateTime).getTime() - Date.now()) / 1_000;
  return (
    <span className={left < 0 ? styles.missed : undefined} title={`${NAMES[of.clock]} is due ${local(new Date(of.dueDateTime))}`}>
      {NAMES[of.clock]} {left < 0 ? `${lasting(-left)} late` : `in ${lasting(left)}`}
    </span>
  );
}
