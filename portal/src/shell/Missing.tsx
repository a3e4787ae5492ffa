
import { Page } from '../ui/Page';
import { Empty } from '../ui/states';
import { Go } from '../ui/Go';

export function Missing() {
  return (
    <Page title="Page not found">
      <Empty title="There is nothing at this address" action={<Go to="/">Go to Home</Go>}>
        The link may be incomplete, or what it led to may be out of your reach.
      </Empty>
    </Page>
  );
}
