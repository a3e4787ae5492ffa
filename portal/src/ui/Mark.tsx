import { Badge, makeStyles, type BadgeProps } from '@fluentui/react-components';

const useStyles = makeStyles({ mark: { whiteSpace: 'nowrap' } });

/** A state in one word. */
export function Mark({ look, title }: { look: { label: string; color: NonNullable<BadgeProps['color']> }; title?: string }) {
  const styles = useStyles();
  return (
    <Badge className={styles.mark} appearance="tint" shape="rounded" color={look.color} title={title}>
      {look.label}
    </Badge>
  );
}
