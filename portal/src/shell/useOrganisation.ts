import { useMutation } from '@tanstack/react-query';
import { useNavigate } from 'react-router';

import { api, read } from '../api/client';
import { useTakeSession } from '../api/session';
import { useToasts } from '../ui/Toasts';

/** Changes to another organisation of the same person, and goes to a place there. */
export function useOrganisation() {
  const navigate = useNavigate();
  const take = useTakeSession();
  const toasts = useToasts();
  return useMutation({
    mutationFn: ({ id }: { id: string; to: string }) => read(api.POST('/api/v1/session/organisation', { body: { organisationId: id } })),
    onSuccess: (next, { to }) => {
      take(next);
      navigate(to, { replace: to !== '/' });
      toasts.done(`You are now in ${next.organisation.name}.`);
    },
    onError: toasts.fail,
  });
}
