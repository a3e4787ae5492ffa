import {
  Button,
  Link as FluentLink,
  Slider,
  Tooltip,
  makeStyles,
  mergeClasses,
  tokens,
} from '@fluentui/react-components';
import {
  ArrowResetRegular,
  PauseRegular,
  PlayRegular,
  ZoomInRegular,
  ZoomOutRegular,
} from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent } from 'react';

import { api, read } from '../api/client';
import type { Alert, Graph, GraphNode, Incident } from '../api/hand';
import { Facts } from '../ui/Facts';
import { Moment } from '../ui/Moment';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { Severity } from './badges';
import { kindIcon } from './kinds';
import { bounds, layOut } from './layout';
import { useIncidentAlerts } from '../api/incident-alerts';
import { spelled } from '../api/words';

const useStyles = makeStyles({
  columns: {
    display: 'grid',
    gridTemplateColumns: 'minmax(260px, 340px) minmax(0, 1fr)',
    gap: '16px',
    alignItems: 'start',
    '@media (max-width: 900px)': { gridTemplateColumns: 'minmax(0, 1fr)' },
  },
  card: {
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorNeutralBackground1,
    minWidth: 0,
  },
  list: { listStyleType: 'none', margin: 0, padding: 0, maxHeight: '620px', overflowY: 'auto', '@media (max-width: 900px)': { maxHeight: '300px' } },
  title: { margin: 0, padding: '12px 16px', fontSize: tokens.fontSizeBase300, borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  alert: {
    display: 'grid',
    gap: '4px',
    padding: '10px 16px',
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    borderLeft: '3px solid transparent',
  },
  later: { backgroundColor: tokens.colorNeutralBackground3 },
  present: { borderLeft: `3px solid ${tokens.colorBrandStroke1}`, backgroundColor: tokens.colorNeutralBackground1Selected },
  when: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200, display: 'flex', gap: '12px', flexWrap: 'wrap' },
  bar: { display: 'flex', alignItems: 'center', gap: '8px', padding: '8px 12px', borderBottom: `1px solid ${tokens.colorNeutralStroke2}`, flexWrap: 'wrap' },
  slider: { flex: '1 1 140px', minWidth: '100px' },
  moment: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200, minWidth: '150px' },
  graph: { position: 'relative' },
  svg: { display: 'block', width: '100%', height: '520px', touchAction: 'none', cursor: 'grab', '@media (max-width: 640px)': { height: '360px' } },
  edge: { stroke: tokens.colorNeutralStrokeAccessible, strokeWidth: 1.4, opacity: 0.55 },
  lit: { stroke: tokens.colorBrandStroke1, strokeWidth: 2.4, opacity: 1 },
  hidden: { opacity: 0.08 },
  node: {
    cursor: 'pointer',
    outlineStyle: 'none',
    ':focus-visible circle': { stroke: tokens.colorStrokeFocus2, strokeWidth: 3 },
  },
  circle: { fill: tokens.colorNeutralBackground1, stroke: tokens.colorNeutralStrokeAccessible, strokeWidth: 1.5 },
  asset: { fill: tokens.colorBrandBackground2, stroke: tokens.colorBrandStroke1 },
  chosen: { stroke: tokens.colorBrandStroke1, strokeWidth: 3.5 },
  label: { fill: tokens.colorNeutralForeground1, fontSize: '11px', textAnchor: 'middle', pointerEvents: 'none', paintOrder: 'stroke', stroke: tokens.colorNeutralBackground1, strokeWidth: '4px' },
  icon: { color: tokens.colorNeutralForeground1, fontSize: '20px', pointerEvents: 'none' },
  details: { padding: '12px 16px', borderTop: `1px solid ${tokens.colorNeutralStroke2}` },
});

const MOST_TICKS = 500;
const STEP_MS = 1_100;
const ASSETS = new Set(['device', 'device name', 'account', 'account name', 'user', 'mailbox', 'cloud resource', 'application']);

/** INC-22: what happened, as a graph of entities that can be played through in time. */
export default function Story({ incident, onAlert }: { incident: Incident; onAlert: (id: string) => void }) {
  const styles = useStyles();
  const graph = useQuery({
    queryKey: ['graph', incident.id],
    queryFn: ({ signal }) =>
      read(api.GET('/api/v1/incidents/{id}/graph', { params: { path: { id: incident.id } }, signal })),
  });
  const alerts = useIncidentAlerts(incident.id);
  const ordered = useMemo(
    () =>
      (alerts.data?.pages ?? [])
        .flatMap((page) => page.value)
        .sort((a, b) => moment(a).localeCompare(moment(b)))
        .slice(0, MOST_TICKS),
    [alerts.data],
  );
  // One more than there are alerts means: everything.
  const [step, setStep] = useState<number | null>(null);
  const [playing, setPlaying] = useState(false);
  const [chosen, setChosen] = useState<string | null>(null);
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => {
      setStep((now) => {
        const next = (now ?? -1) + 1;
        if (next >= ordered.length) {
          setPlaying(false);
          return null;
        }
        return next;
      });
    }, STEP_MS);
    return () => clearInterval(timer);
  }, [playing, ordered.length]);
  const present = step === null ? null : ordered[step];

  return (
    <div className={styles.columns}>
      <section className={styles.card} aria-labelledby="story-alerts">
        <h2 id="story-alerts" className={styles.title}>
          Alerts in time
        </h2>
        {alerts.isPending ? (
          <Waiting rows={5} />
        ) : alerts.isError && !alerts.data ? (
          <Failure error={alerts.error} retry={() => void alerts.refetch()} />
        ) : ordered.length === 0 ? (
          <Empty title="No alerts" />
        ) : (
          <ol className={styles.list}>
            {ordered.map((alert, at) => (
              <li
                key={alert.id}
                className={mergeClasses(
                  styles.alert,
                  step !== null && at > step && styles.later,
                  step === at && styles.present,
                )}
                aria-current={step === at ? 'step' : undefined}
              >
                <FluentLink as="button" onClick={() => onAlert(alert.id)}>
                  {alert.title}
                </FluentLink>
                <span className={styles.when}>
                  <Severity value={alert.severity} />
                  <Moment at={alert.firstActivityDateTime ?? alert.createdDateTime} as="second" />
                </span>
              </li>
            ))}
            {alerts.hasNextPage && (
              <li className={styles.alert}>
                <Button
                  size="small"
                  disabledFocusable={alerts.isFetchingNextPage || ordered.length >= MOST_TICKS}
                  onClick={() => void alerts.fetchNextPage()}
                >
                  {alerts.isFetchingNextPage ? 'Loading…' : 'Show more alerts'}
                </Button>
              </li>
            )}
          </ol>
        )}
      </section>
      <section className={styles.card} aria-label="Entity graph">
        {graph.isPending ? (
          <Waiting rows={10} />
        ) : graph.isError ? (
          <Failure error={graph.error} retry={() => void graph.refetch()} title="The graph could not be read" />
        ) : graph.data.nodes.length === 0 ? (
          <Empty title="No entities">The alerts of this incident name nothing that could be drawn.</Empty>
        ) : (
          <>
            <div className={styles.bar}>
              <Button
                icon={playing ? <PauseRegular /> : <PlayRegular />}
                disabledFocusable={ordered.length === 0}
                onClick={() => {
                  if (!playing && step === null) setStep(0);
                  setPlaying(!playing);
                }}
              >
                {playing ? 'Pause' : 'Play attack story'}
              </Button>
              <Slider
                className={styles.slider}
                aria-label="Point in the story"
                aria-valuetext={present ? present.title : 'The whole story'}
                min={0}
                max={ordered.length}
                value={step ?? ordered.length}
                onChange={(_, data) => {
                  setPlaying(false);
                  setStep(data.value >= ordered.length ? null : data.value);
                }}
              />
              <span className={styles.moment} role="status">
                {present ? <Moment at={moment(present)} as="second" /> : 'The whole story'}
              </span>
            </div>
            {graph.data.truncated && (
              <Notice>The graph shows the entities with most alerts; the Assets tab lists all of them.</Notice>
            )}
            <Drawing graph={graph.data} until={present ?? null} chosen={chosen} onChoose={setChosen} />
            {chosen && (
              <NodeDetails
                node={graph.data.nodes.find((node) => node.id === chosen)}
                graph={graph.data}
                alerts={ordered}
                onAlert={onAlert}
              />
            )}
          </>
        )}
      </section>
    </div>
  );
}

const moment = (alert: Alert): string => alert.firstActivityDateTime ?? alert.createdDateTime;

/** The entity graph. */
export function Drawing({
  graph,
  until,
  chosen,
  onChoose,
}: {
  graph: Graph;
  until: Alert | null;
  chosen: string | null;
  onChoose: (id: string | null) => void;
}) {
  const styles = useStyles();
  const points = useMemo(
    () =>
      layOut(
        graph.nodes.map((node) => node.id),
        graph.edges,
      ),
    [graph],
  );
  const whole = useMemo(() => bounds(points.values()), [points]);
  const [box, setBox] = useState(whole);
  useEffect(() => setBox(whole), [whole]);
  const svg = useRef<SVGSVGElement>(null);
  // Where the whole graph has little room, nodes and letters keep their size on the screen.
  const [room, setRoom] = useState({ width: 800, height: 520 });
  useEffect(() => {
    const element = svg.current;
    if (!element) return;
    const observer = new ResizeObserver(() =>
      setRoom({ width: element.clientWidth || 800, height: element.clientHeight || 520 }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const size = Math.max(1, Math.min(2, 0.9 * Math.max(box.width / room.width, box.height / room.height)));
  const from = useRef<{ x: number; y: number } | null>(null);
  const zoom = (factor: number) =>
    setBox((old) => {
      const width = Math.max(160, Math.min(whole.width * 3, old.width * factor));
      const height = (old.height / old.width) * width;
      return { x: old.x + (old.width - width) / 2, y: old.y + (old.height - height) / 2, width, height };
    });
  const scale = () => Math.max(box.width / room.width, box.height / room.height);
  const drag = (event: PointerEvent) => {
    if (!from.current) return;
    const factor = scale();
    const dx = (event.clientX - from.current.x) * factor;
    const dy = (event.clientY - from.current.y) * factor;
    from.current = { x: event.clientX, y: event.clientY };
    setBox((old) => ({ ...old, x: old.x - dx, y: old.y - dy }));
  };
  // React listens to wheels passively; the page would scroll along.
  useEffect(() => {
    const element = svg.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.15 : 0.87);
    };
    element.addEventListener('wheel', wheel, { passive: false });
    return () => element.removeEventListener('wheel', wheel);
  });

  const limit = until ? moment(until) : null;
  const shownEdge = (at: string | null) => limit === null || at === null || at <= limit;
  const reached = useMemo(() => {
    if (limit === null) return null;
    const ids = new Set<string>();
    for (const node of graph.nodes) {
      if (node.firstActivityDateTime && node.firstActivityDateTime <= limit) ids.add(node.id);
    }
    return ids;
  }, [graph, limit]);

  return (
    <div className={styles.graph}>
      <svg
        ref={svg}
        className={styles.svg}
        viewBox={`${box.x} ${box.y} ${box.width} ${box.height}`}
        role="group"
        aria-label={`Graph of ${graph.nodes.length} entities and ${graph.edges.length} connections`}
        onPointerDown={(event) => {
          if ((event.target as Element).closest('[role="button"]')) return;
          from.current = { x: event.clientX, y: event.clientY };
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={drag}
        onPointerUp={() => {
          from.current = null;
        }}
      >
        {graph.edges.map((edge) => {
          const a = points.get(edge.source);
          const b = points.get(edge.target);
          if (!a || !b) return null;
          const lit = until ? edge.alertIds.includes(until.id) : chosen === edge.source || chosen === edge.target;
          return (
            <line
              key={`${edge.source} ${edge.target}`}
              x1={a.x}
              y1={a.y}
              x2={b.x}
              y2={b.y}
              className={mergeClasses(styles.edge, lit && styles.lit, !shownEdge(edge.at) && styles.hidden)}
            />
          );
        })}
        <g aria-hidden>
          {graph.nodes.map((node) => {
            const point = points.get(node.id);
            if (!point) return null;
            return (
              <text
                key={node.id}
                transform={`translate(${point.x} ${point.y}) scale(${size})`}
                y={34}
                className={mergeClasses(styles.label, reached !== null && !reached.has(node.id) && styles.hidden)}
              >
                {node.name.length > 24 ? `${node.name.slice(0, 22)}…` : node.name}
              </text>
            );
          })}
        </g>
        {graph.nodes.map((node) => {
          const point = points.get(node.id);
          if (!point) return null;
          const hidden = reached !== null && !reached.has(node.id);
          return (
            <Node
              key={node.id}
              node={node}
              x={point.x}
              y={point.y}
              size={size}
              chosen={chosen === node.id}
              hidden={hidden}
              onChoose={() => onChoose(chosen === node.id ? null : node.id)}
            />
          );
        })}
      </svg>
      <div className={styles.bar} data-screen>
        <Tooltip content="Closer" relationship="label">
          <Button size="small" appearance="subtle" icon={<ZoomInRegular />} onClick={() => zoom(0.8)} />
        </Tooltip>
        <Tooltip content="Farther" relationship="label">
          <Button size="small" appearance="subtle" icon={<ZoomOutRegular />} onClick={() => zoom(1.25)} />
        </Tooltip>
        <Tooltip content="The whole graph" relationship="label">
          <Button size="small" appearance="subtle" icon={<ArrowResetRegular />} onClick={() => setBox(whole)} />
        </Tooltip>
      </div>
    </div>
  );
}

function Node({
  node,
  x,
  y,
  size,
  chosen,
  hidden,
  onChoose,
}: {
  node: GraphNode;
  x: number;
  y: number;
  size: number;
  chosen: boolean;
  hidden: boolean;
  onChoose: () => void;
}) {
  const styles = useStyles();
  const keys = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    onChoose();
  };
  return (
    <g
      transform={`translate(${x} ${y}) scale(${size})`}
      role="button"
      tabIndex={hidden ? -1 : 0}
      aria-pressed={chosen}
      aria-label={`${spelled(node.kind)} ${node.name}, ${node.alertCount} alert${node.alertCount === 1 ? '' : 's'}`}
      className={mergeClasses(styles.node, hidden && styles.hidden)}
      onClick={onChoose}
      onKeyDown={keys}
    >
      <title>{`${spelled(node.kind)}: ${node.name}`}</title>
      <circle r={19} className={mergeClasses(styles.circle, ASSETS.has(node.kind) && styles.asset, chosen && styles.chosen)} />
      <g transform="translate(-10 -10)" className={styles.icon} aria-hidden>
        {kindIcon(node.kind)}
      </g>
    </g>
  );
}

function NodeDetails({
  node,
  graph,
  alerts,
  onAlert,
}: {
  node: GraphNode | undefined;
  graph: Graph;
  alerts: Alert[];
  onAlert: (id: string) => void;
}) {
  const styles = useStyles();
  if (!node) return null;
  const ids = new Set(
    graph.edges.filter((edge) => edge.source === node.id || edge.target === node.id).flatMap((edge) => edge.alertIds),
  );
  const named = alerts.filter((alert) => ids.has(alert.id));
  return (
    <div className={styles.details} role="region" aria-label={`${spelled(node.kind)} ${node.name}`}>
      <Facts
        facts={[
          [spelled(node.kind), node.name],
          ['First seen', node.firstActivityDateTime && <Moment key="f" at={node.firstActivityDateTime} as="second" />],
          ['Alerts', node.alertCount.toLocaleString()],
          [
            'In',
            named.length > 0 && (
              <span key="a">
                {named.slice(0, 10).map((alert, at) => (
                  <span key={alert.id}>
                    {at > 0 && ', '}
                    <FluentLink as="button" onClick={() => onAlert(alert.id)}>
                      {alert.title}
                    </FluentLink>
                  </span>
                ))}
                {named.length > 10 && ` and ${named.length - 10} more`}
              </span>
            ),
          ],
        ]}
      />
    </div>
  );
}
