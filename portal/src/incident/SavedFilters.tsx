import {
  Field,
  Input,
  Menu,
  MenuDivider,
  MenuGroup,
  MenuGroupHeader,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
  ToolbarButton,
} from '@fluentui/react-components';
import { BookmarkRegular, DeleteRegular, SaveRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Filter } from '../api/hand';
import { Ask } from '../ui/Ask';
import { useToasts } from '../ui/Toasts';
import { messageOf } from '../api/error';

const KEY = ['filters'];

/** Filter sets under a name, kept by the server for this person. */
export function SavedFilters({ query, onUse }: { query: string; onUse: (query: string) => void }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  const [saving, setSaving] = useState(false);
  const [name, setName] = useState('');
  const [open, setOpen] = useState(false);
  const filters = useQuery({
    queryKey: KEY,
    queryFn: () => read(api.GET('/api/v1/filters')),
    enabled: open,
  });
  const again = () => queries.invalidateQueries({ queryKey: KEY });
  const save = async (as: string, what: string) => {
    await read(api.POST('/api/v1/filters', { body: { name: as, query: what } }));
    await again();
  };
  const remove = async (filter: Filter) => {
    try {
      await read(api.DELETE('/api/v1/filters/{id}', { params: { path: { id: filter.id } } }));
      await again();
      toasts.done(`“${filter.name}” is removed.`, () => {
        save(filter.name, filter.query).catch(toasts.fail);
      });
    } catch (error) {
      toasts.fail(error);
    }
  };
  const saved = filters.data?.value ?? [];
  return (
    <>
      <Menu open={open} onOpenChange={(_, data) => setOpen(data.open)}>
        <MenuTrigger disableButtonEnhancement>
          <ToolbarButton icon={<BookmarkRegular />}>Saved</ToolbarButton>
        </MenuTrigger>
        <MenuPopover>
          <MenuList>
            <MenuGroup>
              <MenuGroupHeader>Saved filter sets</MenuGroupHeader>
              {filters.isPending && <MenuItem disabled>Loading…</MenuItem>}
              {filters.isError && <MenuItem disabled>{messageOf(filters.error)}</MenuItem>}
              {filters.data && saved.length === 0 && <MenuItem disabled>None yet</MenuItem>}
              {saved.map((filter) => (
                <MenuItem key={filter.id} onClick={() => onUse(filter.query)}>
                  {filter.name}
                </MenuItem>
              ))}
            </MenuGroup>
            <MenuDivider />
            <MenuItem
              icon={<SaveRegular />}
              onClick={() => {
                setName('');
                setSaving(true);
              }}
            >
              Save the filters shown
            </MenuItem>
            {saved.length > 0 && (
              <Menu>
                <MenuTrigger disableButtonEnhancement>
                  <MenuItem icon={<DeleteRegular />}>Remove</MenuItem>
                </MenuTrigger>
                <MenuPopover>
                  <MenuList>
                    {saved.map((filter) => (
                      <MenuItem key={filter.id} onClick={() => void remove(filter)}>
                        {filter.name}
                      </MenuItem>
                    ))}
                  </MenuList>
                </MenuPopover>
              </Menu>
            )}
          </MenuList>
        </MenuPopover>
      </Menu>
      <Ask
        open={saving}
        title="Save the filters shown"
        act="Save"
        ready={name.trim() !== ''}
        onClose={() => setSaving(false)}
        onAct={() => save(name.trim(), query)}
      >
        <Field label="Name" required>
          <Input value={name} maxLength={80} onChange={(_, data) => setName(data.value)} />
        </Field>
      </Ask>
    </>
  );
}
