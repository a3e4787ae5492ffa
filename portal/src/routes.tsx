/** Every address of the portal. What a page shows beyond its path stands in the query. */
import type { QueryClient } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { Navigate, Route, Routes } from 'react-router';

import type { Incident } from './api/hand';
import { prefetchQueue } from './incident/data';
import { Shell } from './shell/Shell';
import { Missing } from './shell/Missing';
import { PageWaiting } from './ui/states';

// The pages of the first view are told apart by the build; see scripts/compress.mjs.
const signIn = () => import('./sign-in/SignIn');
const SignIn = lazy(signIn);
const Setup = lazy(() => import('./sign-in/Setup'));
const home = () => import('./home/Home');
const Home = lazy(home);
const queue = () => import('./incident/Queue');
const Queue = lazy(queue);
const incidentPage = () => import('./incident/IncidentPage');
const IncidentPage = lazy(incidentPage);
const Chat = lazy(() => import('./conversation/Chat'));
const Flyout = lazy(() => import('./response/Flyout'));
const response = {
  Card: lazy(() => import('./response/ResponseCard')),
  Clocks: lazy(() => import('./clock/Clocks')),
  Tab: lazy(() => import('./response/ResponseTab')),
  Flyout: ({ incident }: { incident: Incident }) => <Flyout incident={incident} chat={Chat} />,
  Undelivered: lazy(() => import('./notification/Undelivered')),
};
const Report = lazy(() => import('./incident/Report'));
const AlertPage = lazy(() => import('./incident/AlertPage'));
const ActionCenter = lazy(() => import('./action/ActionCenter'));
const Messages = lazy(() => import('./conversation/Messages'));
const Devices = lazy(() => import('./device/Devices'));
const DevicePage = lazy(() => import('./device/DevicePage'));
const Users = lazy(() => import('./user/Users'));
const UserPage = lazy(() => import('./user/UserPage'));
const Customers = lazy(() => import('./customer/Customers'));
const AccessRequests = lazy(() => import('./access/AccessPage'));
const Permissions = lazy(() => import('./settings/Permissions'));
const Service = lazy(() => import('./onboarding/Service'));
const Onboarding = lazy(() => import('./onboarding/Setup'));
// Each step of the setup is the part of the settings where it is changed later.
const parts = {
  permissions: lazy(async () => ({ default: (await import('./settings/Permissions')).PermissionsPart })),
  exclusions: lazy(async () => ({ default: (await import('./settings/Exclusions')).ExclusionsPart })),
  contacts: lazy(async () => ({ default: (await import('./notification/SetupParts')).ContactsPart })),
  channels: lazy(async () => ({ default: (await import('./notification/SetupParts')).ChannelsPart })),
};
const People = lazy(() => import('./settings/People'));
const Apps = lazy(() => import('./settings/Apps'));
const IdentityProviders = lazy(() => import('./settings/IdentityProviders'));
const Authority = lazy(() => import('./settings/Authority'));
const Exclusions = lazy(() => import('./settings/Exclusions'));
const Connectors = lazy(() => import('./settings/Connectors'));
const Notifications = lazy(() => import('./notification/Notifications'));
const Agreement = lazy(() => import('./clock/Agreement'));
const Agents = lazy(() => import('./settings/Agents'));
const Audit = lazy(() => import('./settings/Audit'));
const Account = lazy(() => import('./settings/Account'));
const Mailbox = lazy(() => import('./demo/Mailbox'));

/** Begins to load the page of an address while it is still being found out who asks. */
export function preload(queries: QueryClient, path: string, search: string): void {
  if (path === '/incidents') prefetchQueue(queries, search);
  const page =
    path === '/'
      ? home
      : path === '/sign-in'
        ? signIn
        : path === '/incidents'
          ? queue
          : /^\/incidents\/[^/]+$/.test(path)
            ? incidentPage
            : null;
  // What fails here fails again, and is shown, when the page is wanted.
  page?.().catch(() => undefined);
}

export function Portal() {
  return (
    <Suspense fallback={<PageWaiting />}>
      <Routes>
        <Route path="sign-in" element={<SignIn />} />
        <Route path="setup" element={<Setup />} />
        <Route path="setup/:token" element={<Setup />} />
        <Route element={<Shell />}>
          <Route index element={<Home />} />
          <Route path="incidents" element={<Queue />} />
          <Route path="incidents/:id" element={<IncidentPage response={response} />} />
          <Route path="incidents/:id/report" element={<Report />} />
          <Route path="alerts/:id" element={<AlertPage />} />
          <Route path="actions" element={<ActionCenter />} />
          <Route path="messages" element={<Messages />} />
          <Route path="devices" element={<Devices />} />
          <Route path="devices/:id" element={<DevicePage />} />
          <Route path="users" element={<Users />} />
          <Route path="users/:tenant/:name" element={<UserPage />} />
          <Route path="customers" element={<Customers />} />
          <Route path="access" element={<AccessRequests />} />
          <Route path="settings" element={<Navigate to="/settings/people" replace />} />
          <Route path="onboarding" element={<Onboarding parts={parts} />} />
          <Route path="settings/service" element={<Service />} />
          <Route path="settings/permissions" element={<Permissions />} />
          <Route path="settings/authority" element={<Authority />} />
          <Route path="settings/exclusions" element={<Exclusions />} />
          <Route path="settings/notifications" element={<Notifications />} />
          <Route path="settings/clocks" element={<Agreement />} />
          <Route path="settings/agents" element={<Agents />} />
          <Route path="settings/connectors" element={<Connectors />} />
          <Route path="settings/people" element={<People />} />
          <Route path="settings/apps" element={<Apps />} />
          <Route path="settings/sign-in" element={<IdentityProviders />} />
          <Route path="settings/audit" element={<Audit />} />
          <Route path="demo/mailbox" element={<Mailbox />} />
          <Route path="account" element={<Account />} />
          <Route path="*" element={<Missing />} />
        </Route>
      </Routes>
    </Suspense>
  );
}
