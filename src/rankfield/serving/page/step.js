// Keys n and p open the next and the previous query; the links beside do the same without it.
'use strict';
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input, select, textarea')) return;
  const link = document.querySelector({ n: '[rel=next]', p: '[rel=prev]' }[event.key] || '[rel=none]');
  if (link) location.assign(link.href);
});
