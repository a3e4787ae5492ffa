import { makeStyles, tokens } from '@fluentui/react-components';
import { useEffect, useRef, useState } from 'react';

import type { Home } from '../api/hand';
import { localHour, utc } from '../ui/time';

const useStyles = makeStyles({
  svg: { display: 'block', width: '100%', height: '180px' },
  alerts: { fill: tokens.colorBrandBackground },
  incidents: { fill: tokens.colorPaletteDarkOrangeBackground3 },
  line: { stroke: tokens.colorNeutralStroke2, strokeWidth: 1 },
  text: { fill: tokens.colorNeutralForeground2, fontSize: '11px' },
  legend: { display: 'flex', gap: '16px', color: tokens.colorNeutralForeground2 },
  key: { display: 'inline-flex', alignItems: 'center', gap: '6px' },
  swatch: { width: '10px', height: '10px', borderRadius: '2px', display: 'inline-block' },
  brand: { backgroundColor: tokens.colorBrandBackground },
  orange: { backgroundColor: tokens.colorPaletteDarkOrangeBackground3 },
  frame: { overflowX: 'auto' },
  hidden: {
    position: 'absolute',
    width: '1px',
    height: '1px',
    overflow: 'hidden',
    clipPath: 'inset(50%)',
    whiteSpace: 'nowrap',
  },
});

const HEIGHT = 180;
const BASE = 150;
const LEFT = 40;

/** A round number at or above the largest, for the top of the axis. */
export function ceiling(largest: number): number {
  if (largest <= 4) return 4;
  const size = 10 ** Math.floor(Math.log10(largest));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((top) => top >= largest) ?? largest;
}

/** UI-5: two bars an hour; the same figures as a table for readers of a screen. */
export function HourChart({ hours }: { hours: Home['alertsByHour'] }) {
  const styles = useStyles();
  const frame = useRef<HTMLDivElement>(null);
  // Drawn at its real width, so that letters keep their shape.
  const [width, setWidth] = useState(720);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(260, element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const each = width < 500 ? 6 : 4;
  const top = ceiling(Math.max(0, ...hours.map((hour) => Math.max(hour.alerts, hour.incidents))));
  const slot = (width - LEFT) / Math.max(1, hours.length);
  const y = (value: number) => BASE - (value / top) * (BASE - 14);
  return (
    <>
      <div className={styles.legend} aria-hidden>
        <span className={styles.key}>
          <span className={`${styles.swatch} ${styles.brand}`} /> Alerts
        </span>
        <span className={styles.key}>
          <span className={`${styles.swatch} ${styles.orange}`} /> Incidents
        </span>
      </div>
      <div className={styles.frame} ref={frame}>
        <svg className={styles.svg} viewBox={`0 0 ${width} ${HEIGHT}`} aria-hidden>
          {[0, top / 2, top].map((value) => (
            <g key={value}>
              <line x1={LEFT} x2={width} y1={y(value)} y2={y(value)} className={styles.line} />
              <text x={LEFT - 6} y={y(value) + 4} textAnchor="end" className={styles.text}>
                {value.toLocaleString()}
              </text>
            </g>
          ))}
          {hours.map((hour, at) => {
            const x = LEFT + at * slot;
            const when = new Date(hour.at);
            return (
              <g key={hour.at}>
                <title>{`${localHour(when)} (${utc(when)}): ${hour.alerts} alerts, ${hour.incidents} incidents`}</title>
                <rect x={x} y={14} width={slot} height={BASE - 14} fill="transparent" />
                <rect x={x + slot * 0.14} width={slot * 0.36} y={y(hour.alerts)} height={BASE - y(hour.alerts)} className={styles.alerts} />
                <rect x={x + slot * 0.52} width={slot * 0.34} y={y(hour.incidents)} height={BASE - y(hour.incidents)} className={styles.incidents} />
                {at % each === 0 && (
                  <text x={x + slot / 2} y={HEIGHT - 12} textAnchor="middle" className={styles.text}>
                    {localHour(when)}
                  </text>
                )}
              </g>
            );
          })}
        </svg>
      </div>
      <div className={styles.hidden}>
        <table>
          <caption>Alerts and incidents by hour</caption>
          <thead>
            <tr>
              <th>Hour</th>
              <th>Alerts</th>
              <th>Incidents</th>
            </tr>
          </thead>
          <tbody>
            {hours.map((hour) => (
              <tr key={hour.at}>
                <td>{localHour(new Date(hour.at))}</td>
                <td>{hour.alerts}</td>
                <td>{hour.incidents}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
