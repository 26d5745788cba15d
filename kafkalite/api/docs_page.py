"""The page at `/docs`: reads /openapi.json and shows it. One file, nothing from elsewhere.

FastAPI's own page loads its program from a content delivery network, which a broker without a way
out cannot reach. This one is plain HTML with a short script; whatever comes from the document is
set as text, never as HTML.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Final

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: #0b62c4; }
@media (prefers-color-scheme: dark) { :root { --link: #7db7ff; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
a { color: var(--link); }
h1 { margin-bottom: 0; }
h2 { border-bottom: 1px solid var(--line); margin-top: 2rem; text-transform: capitalize; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { background: var(--soft); border-radius: 4px; margin: .25rem 0; overflow-x: auto;
  padding: .5rem; }
details { border: 1px solid var(--line); border-radius: 4px; margin: .5rem 0; }
details > div { padding: 0 .75rem .75rem; }
summary { cursor: pointer; padding: .4rem .75rem; }
summary:focus-visible, input:focus-visible { outline: 2px solid var(--link); }
.method { display: inline-block; font: bold 13px/1 ui-monospace, monospace; min-width: 4.5rem; }
.about { opacity: .75; }
input { font: inherit; padding: .4rem; width: 100%; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: .25rem .5rem .25rem 0; text-align: left;
  vertical-align: top; }
.lines { white-space: pre-line; }
"""

_SCRIPT: Final = """
'use strict';
function make(tag, text, ...children) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}
function classed(element, name) { element.className = name; return element; }
function table(heads, rows) {
  const head = make('tr', '', ...heads.map(text => make('th', text)));
  const body = rows.map(cells => make('tr', '', ...cells.map(cell =>
    cell instanceof Node ? make('td', '', cell) : classed(make('td', cell), 'lines'))));
  return make('table', '', make('thead', '', head), make('tbody', '', ...body));
}
function typeOf(schema) {
  if (!schema) return '';
  if (schema.$ref) return schema.$ref.split('/').pop();
  if (schema.enum) return schema.enum.map(value => JSON.stringify(value)).join(' | ');
  const options = schema.anyOf || schema.oneOf;
  if (options) return options.map(typeOf).join(' | ');
  if (schema.type === 'array') return typeOf(schema.items) + '[]';
  return [schema.type || 'any'].flat().join(' | ');
}
function schemaNode(schema) {
  const name = typeOf(schema);
  if (schema && schema.$ref) {
    const link = make('a', name);
    link.href = '#schema-' + name;
    return link;
  }
  return make('code', name);
}
function fields(schema) {
  const needed = new Set(schema.required || []);
  return table(['field', 'type', 'meaning'], Object.entries(schema.properties || {}).map(
    ([name, field]) => [
      make('code', name + (needed.has(name) ? ' *' : '')),
      field.items && field.items.$ref ? schemaNode(field.items) : schemaNode(field),
      [field.description,
       field.default === undefined ? '' : 'Default: ' + JSON.stringify(field.default)]
        .filter(Boolean).join(' ')]));
}
function example(schema, all) {
  const found = schema && schema.$ref ? all[schema.$ref.split('/').pop()] : schema;
  return found && found.examples && found.examples[0];
}
function typeable(operation) {  // a shell cannot write msgpack
  return Object.keys(operation.requestBody ? operation.requestBody.content : {})
    .find(media => media.endsWith('json') || media === 'text/plain');
}
function sample(name, operation) {
  const found = operation.parameters.find(each => each.name === name);
  const [shown] = found.example === undefined ? found.schema.examples || [] : [found.example];
  if (shown !== undefined) return shown;
  return found.schema.type === 'integer' ? '0' : name === 'topic' ? 'flights' : 'my-' + name;
}
function curl(method, path, operation, all) {
  const words = ['curl'];
  if (method !== 'get') words.push('-X', method.toUpperCase());
  const media = typeable(operation);
  if (media) {
    const content = operation.requestBody.content[media];
    const body = content.example === undefined ? example(content.schema, all) : content.example;
    words.push("-H 'Content-Type: " + media + "'",
      "-d '" + (typeof body === 'string' ? body : JSON.stringify(body || {})) + "'");
  }
  const sampled = path.replace(/{([a-z_]+)}/g, (_, name) => sample(name, operation));
  words.push("'" + location.origin + sampled + "'");
  return words.join(' ');
}
function operationNode(method, path, operation, all) {
  const title = make('summary', '', classed(make('span', method.toUpperCase()), 'method'),
    make('code', path), ' ', classed(make('span', operation.summary || ''), 'about'));
  const body = make('div', '', classed(make('p', operation.description || ''), 'lines'));
  if (operation.parameters && operation.parameters.length) {
    body.append(make('h3', 'Parameters'), table(['name', 'in', 'type', 'meaning'],
      operation.parameters.map(each => [
        make('code', each.name + (each.required ? ' *' : '')), each.in, typeOf(each.schema),
        (each.description || (each.schema && each.schema.description) || '') +
          (each.schema && each.schema.default !== undefined
            ? ' Default: ' + JSON.stringify(each.schema.default) : '')])));
  }
  if (operation.requestBody) {
    body.append(make('h3', 'Body'), table(['media type', 'schema'],
      Object.entries(operation.requestBody.content).map(
        ([media, content]) => [make('code', media), schemaNode(content.schema)])));
  }
  body.append(make('h3', 'Answers'), table(['status', 'meaning', 'body'],
    Object.entries(operation.responses).map(([status, reply]) => [
      make('code', status), reply.description || '',
      make('span', '', ...Object.entries(reply.content || {}).flatMap(
        ([media, content]) => [make('code', media), ' ', schemaNode(content.schema),
          make('br')]))])));
  if (!operation.requestBody || typeable(operation)) {
    body.append(make('h3', 'Try it'), make('pre', curl(method, path, operation, all)));
  }
  const node = make('details', '', title, body);
  node.id = operation.operationId;
  node.dataset.words = (method + ' ' + path + ' ' + (operation.summary || '')).toLowerCase();
  return node;
}
function show(api) {
  const all = api.components.schemas;
  const main = document.querySelector('main');
  document.querySelector('#about').textContent = api.info.description;
  for (const tag of api.tags) {
    const nodes = Object.entries(api.paths).flatMap(([path, item]) =>
      Object.entries(item).filter(([, operation]) => (operation.tags || []).includes(tag.name))
        .map(([method, operation]) => operationNode(method, path, operation, all)));
    const section = make('section', '', make('h2', tag.name), make('p', tag.description), ...nodes);
    main.append(section);
  }
  const schemas = make('section', '', make('h2', 'Schemas'));
  for (const [name, schema] of Object.entries(all).sort()) {
    const node = make('details', '', make('summary', '', make('code', name)),
      make('div', '', make('p', schema.description || ''), fields(schema)));
    node.id = 'schema-' + name;
    node.dataset.words = name.toLowerCase();
    schemas.append(node);
  }
  main.append(schemas);
  openTarget();
}
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target) { target.open = true; target.scrollIntoView(); }
}
const filter = document.querySelector('input');
filter.addEventListener('input', () => {
  const words = filter.value.toLowerCase().split(' ').filter(Boolean);
  for (const node of document.querySelectorAll('main details')) {
    node.hidden = !words.every(word => node.dataset.words.includes(word));
  }
});
document.addEventListener('keydown', event => {
  if (event.key === '/' && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
  }
});
addEventListener('hashchange', openTarget);
fetch('openapi.json').then(reply => reply.json()).then(show).catch(error => {
  document.querySelector('#about').textContent = 'Cannot read openapi.json: ' + error;
});
"""

HTML: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kafkalite: HTTP API</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>kafkalite: HTTP API</h1>
<p id="about" class="lines">Reading openapi.json ...</p>
<p><a href="openapi.json">openapi.json</a> describes the same for programs.</p>
<label for="filter">Filter (press /)</label>
<input id="filter" type="search" autocomplete="off">
</header>
<main></main>
<noscript>This page needs JavaScript; openapi.json says the same.</noscript>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _source(text: str) -> str:
    """How a Content-Security-Policy names one inline element."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; connect-src 'self'; img-src data:; "
    f"style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; base-uri 'none'",
    "cache-control": "no-cache",
}
"""Nothing but the page itself may run in it."""
