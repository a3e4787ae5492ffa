import { useEffect, useState } from 'react';

import { fromNow, local, localDay, localPrecise, utc } from './time';

type Props = {
  at: string | null | undefined;
  /** How it is written: date and minute, with seconds, only the day, or as a distance from now. */
  as?: 'minute' | 'second' | 'day' | 'distance';
  /** What stands where there is no moment. */
  none?: string;
};

/** A moment in the reader's zone, with UTC on hover. */
export function Moment({ at, as = 'minute', none = '–' }: Props) {
  const now = useMinute(as === 'distance');
  if (!at) return <>{none}</>;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <>{at}</>;
  const text =
    as === 'distance'
      ? fromNow(date, now)
      : as === 'day'
        ? localDay(date)
        : as === 'second'
          ? localPrecise(date)
          : local(date);
  const title = as === 'distance' ? `${local(date)} · ${utc(date)}` : utc(date);
  return (
    <time dateTime={at} title={title}>
      {text}
    </time>
  );
}

/** Now, renewed twice a minute for texts that count from it. */
function useMinute(wanted: boolean): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    if (!wanted) return;
    const timer = setInterval(() => setNow(new Date()), 30_000);
    return () => clearInterval(timer);
  }, [wanted]);
  return now;
}
