import { Button, makeStyles, tokens } from '@fluentui/react-components';
import { ArrowDownRegular, ArrowUpRegular } from '@fluentui/react-icons';

import { conditionsTold, effectTold, moved } from '../api/authority-words';
import type { Authority, Fault, Rule } from '../api/hand';
import { sentence } from '../api/error';
import { GuardedButton, type Leave } from '../ui/Guarded';

const useStyles = makeStyles({
  list: { margin: 0, padding: 0, listStyleType: 'none', display: 'flex', flexDirection: 'column', gap: '8px' },
  rule: {
    display: 'flex',
    flexWrap: 'wrap',
    gap: '8px 16px',
    alignItems: 'start',
    justifyContent: 'space-between',
    padding: '12px',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
  },
  what: { display: 'flex', flexDirection: 'column', gap: '2px', flex: '1 1 280px', minWidth: 0, overflowWrap: 'anywhere' },
  title: { fontWeight: tokens.fontWeightSemibold },
  muted: { color: tokens.colorNeutralForeground2 },
  fault: { color: tokens.colorPaletteRedForeground1 },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '4px' },
});

/** The rules in their order, each with what can be done with it. */
export function RuleList({
  rules,
  authority,
  may,
  faults,
  onChange,
  onEdit,
  onRemove,
}: {
  rules: Rule[];
  authority: Authority;
  may: Leave;
  faults: Fault[];
  onChange: (rules: readonly Rule[]) => void;
  onEdit: (at: number) => void;
  onRemove: (at: number) => void;
}) {
  const styles = useStyles();
  return (
    <ol className={styles.list} aria-label="Rules">
      {rules.map((rule, at) => (
        <li key={rule.id} className={styles.rule}>
          <div className={styles.what}>
            <span className={styles.title}>
              {at + 1}. {rule.title}
            </span>
            <span>{sentence(effectTold(rule.effect))}</span>
            <span className={styles.muted}>{conditionsTold(rule, authority).join(' · ')}</span>
            {faults
              .filter((fault) => fault.rule === rule.id)
              .map((fault) => (
                <span key={fault.because} className={styles.fault}>
                  {sentence(fault.because)}
                </span>
              ))}
          </div>
          <div className={styles.acts}>
            <GuardedButton size="small" may={may} onClick={() => onEdit(at)} aria-label={`Edit ${rule.title}`}>
              Edit
            </GuardedButton>
            <Button
              size="small"
              appearance="subtle"
              icon={<ArrowUpRegular />}
              aria-label={`Move ${rule.title} up`}
              title="Move up"
              disabledFocusable={!may.allowed || at === 0}
              onClick={() => onChange(moved(rules, at, -1))}
            />
            <Button
              size="small"
              appearance="subtle"
              icon={<ArrowDownRegular />}
              aria-label={`Move ${rule.title} down`}
              title="Move down"
              disabledFocusable={!may.allowed || at === rules.length - 1}
              onClick={() => onChange(moved(rules, at, 1))}
            />
            <GuardedButton size="small" appearance="subtle" may={may} onClick={() => onRemove(at)} aria-label={`Remove ${rule.title}`}>
              Remove
            </GuardedButton>
          </div>
        </li>
      ))}
      <li className={styles.rule}>
        <div className={styles.what}>
          <span className={styles.title}>Otherwise</span>
          <span className={styles.muted}>Experts may act at once, as far as the permission goes.</span>
        </div>
      </li>
    </ol>
  );
}
