-- The certificate that was given for the one an agent still shows; it takes its place when it is first shown.
alter table agent add column next_serial text;
