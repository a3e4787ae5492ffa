/** What an incident touches, by kind. Pure. */
import type { Entity, Incident } from '../api/hand';

/** The groups of INC-22; what belongs to none of them stands under Other entities. */
const GROUPS: { title: string; kinds: string[] }[] = [
  { title: 'Devices', kinds: ['device', 'device name'] },
  { title: 'Users', kinds: ['account', 'account name', 'user'] },
  { title: 'Mailboxes and messages', kinds: ['mailbox', 'message'] },
  { title: 'Apps', kinds: ['application', 'sign-in session'] },
  { title: 'Cloud resources', kinds: ['cloud resource', 'container', 'repository'] },
];
/** Kinds that join alerts but are nothing one can own. */
const RULES = /^same detection/;

/** One line for each name: the same device may be known under its id and its name, a file by several hashes. */
function merged(entities: Entity[], of = (entity: Entity) => entity.name): Entity[] {
  const byName = new Map<string, Entity>();
  for (const entity of entities) {
    const key = of(entity).toLowerCase();
    const known = byName.get(key);
    if (!known) byName.set(key, { ...entity });
    else {
      known.alertCount = Math.max(known.alertCount, entity.alertCount);
      if (entity.firstActivityDateTime < known.firstActivityDateTime) known.firstActivityDateTime = entity.firstActivityDateTime;
      if (entity.lastActivityDateTime > known.lastActivityDateTime) known.lastActivityDateTime = entity.lastActivityDateTime;
    }
  }
  return [...byName.values()];
}

/** The groups that have something, in their order. */
export function assetsOf(incident: Incident): { title: string; rows: Entity[] }[] {
  const entities = (incident.entities ?? []).filter((entity) => !RULES.test(entity.kind));
  const rest = entities.filter((entity) => !GROUPS.some((group) => group.kinds.includes(entity.kind)));
  return [
    ...GROUPS.map((group) => ({
      title: group.title,
      rows: merged(entities.filter((entity) => group.kinds.includes(entity.kind))),
    })),
    { title: 'Other entities', rows: merged(rest, (entity) => `${entity.kind} ${entity.name}`) },
  ].filter((group) => group.rows.length > 0);
}
