import { useQuery } from '@tanstack/react-query';

import { api, read } from '../api/client';
import type { Words } from '../api/hand';

const NONE: Words = { status: [], severity: [], classification: [] };

/** All words the portal offers, and which determination goes with which classification. */
export function useWords(): Words {
  const { data } = useQuery({
    queryKey: ['words'],
    queryFn: () => read(api.GET('/api/v1/words')),
    staleTime: Infinity,
  });
  return data ?? NONE;
}

/** What a word is called; an unknown one is taken apart, because the server may know more than we. */
export function labelOf(words: { value: string; label: string }[], value: string): string {
  return words.find((word) => word.value === value)?.label ?? spelled(value);
}

/** "multiStagedAttack" as "Multi staged attack", "device name" as "Device name". */
export function spelled(word: string): string {
  const apart = word.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/_/g, ' ');
  const lower = apart.replace(/\b[A-Z][a-z]+/g, (part) => part.toLowerCase());
  return lower.charAt(0).toUpperCase() + lower.slice(1);
}
