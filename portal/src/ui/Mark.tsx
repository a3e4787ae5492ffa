import { Badge, type BadgeProps } from '@fluentui/react-components';

/** A state in one word. */
export function Mark({ look, title }: { look: { label: string; color: NonNullable<BadgeProps['color']> }; title?: string }) {
  return (
    <Badge appearance="tint" shape="rounded" color={look.color} title={title}>
      {look.label}
    </Badge>
  );
}
