/** How service clocks are read. Pure. */
import type { ClockName, ServiceClock } from './hand';

export const NAMES: Record<ClockName, string> = {
  detect: 'Detect',
  triage: 'Triage',
  decide: 'Decide',
  acknowledge: 'Acknowledge',
  contain: 'Contain',
  customer: 'Customer’s wait',
  resolve: 'Resolve',
};

export const WHOSE: Record<ServiceClock['whose'], string> = {
  source: 'products',
  experts: 'experts',
  customer: 'customer',
};

export const STATES: Record<ServiceClock['state'], string> = {
  notStarted: 'Not started',
  running: 'Running',
  paused: 'Paused',
  stopped: 'Stopped',
  void: 'Not measured',
};

/** "45 s", "12 min", "3 h 20 min", "2 d 4 h": two units at most, the rest is left off. */
export function lasting(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  const join = (large: string, small: number, unit: string) => (small ? `${large} ${small} ${unit}` : large);
  if (hours < 48) return join(`${hours} h`, minutes % 60, 'min');
  return join(`${Math.floor(hours / 24)} d`, hours % 24, 'h');
}

/** What a clock shows `since` seconds after it was asked. */
export function counted(clock: ServiceClock, since: number): number {
  // Outside of working hours it may stand still: what the server says then is newer than a guess.
  const grows = clock.state === 'running' && !clock.workingHours;
  return clock.countedSeconds + (grows ? since : 0);
}

export type Look = { text: string; tone: 'calm' | 'near' | 'missed' | 'done' };

/** How far a clock is from its target, in words. */
export function standing(clock: ServiceClock, since: number, now: Date): Look | null {
  if (clock.state === 'notStarted' || clock.state === 'void') return null;
  const spent = counted(clock, since);
  if (clock.targetSeconds === null) return { text: lasting(spent), tone: clock.state === 'stopped' ? 'done' : 'calm' };
  const missed = clock.isMissed || spent > clock.targetSeconds;
  if (clock.state === 'running') {
    const due = clock.dueDateTime ? (new Date(clock.dueDateTime).getTime() - now.getTime()) / 1_000 : clock.targetSeconds - spent;
    if (missed || due < 0) return { text: `missed ${lasting(-Math.min(due, 0))} ago`, tone: 'missed' };
    return { text: `${lasting(due)} left`, tone: spent >= clock.targetSeconds * 0.75 ? 'near' : 'calm' };
  }
  const took = `${lasting(spent)} of ${lasting(clock.targetSeconds)}`;
  if (clock.state === 'paused') return { text: `paused at ${took}`, tone: missed ? 'missed' : 'calm' };
  return { text: took, tone: missed ? 'missed' : 'done' };
}
