// Shows the OpenAPI document of this server and sends what a person writes into it. Everything is put in place as text, so
// that nothing which the server or the person says is ever run.
'use strict';

const token = document.getElementById('token');
let api;

function make(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** A schema without its reference; what stands beside the reference counts as well. */
function resolved(schema) {
  if (!schema || !schema.$ref) return schema || {};
  const name = schema.$ref.split('/').pop();
  const base = api.components.schemas[name] || {};
  return { ...base, properties: { ...base.properties, ...schema.properties }, named: name };
}

/** A schema in a few words: its type and its bounds. */
function words(schema) {
  const at = resolved(schema);
  if (at.named) return at.named;
  if (at.const !== undefined) return JSON.stringify(at.const);
  if (at.enum) return at.enum.join(', ');
  const types = [].concat(at.type || 'anything');
  if (types.includes('array')) return `list of ${words(at.items)}, at most ${at.maxItems}`;
  const bounds = [];
  if (at.maxLength !== undefined) bounds.push(`${at.minLength || 0} to ${at.maxLength} characters`);
  if (at.pattern) bounds.push(at.pattern);
  if (at.maximum !== undefined) bounds.push(`${at.minimum} to ${at.maximum}`);
  return [types.join(' or '), ...bounds].join(', ');
}

/** The fields of an object, and those of objects in it, as rows of a table. */
function rows(schema, prefix, table) {
  const at = resolved(schema);
  for (const [name, field] of Object.entries(at.properties || {})) {
    const row = table.insertRow();
    const must = (at.required || []).includes(name) ? '' : ' (may be absent)';
    row.insertCell().append(make('code', prefix + name));
    row.insertCell().textContent = words(field) + must;
    row.insertCell().textContent = field.description || '';
    const inner = resolved(field);
    if (inner.properties) rows(field, `${prefix}${name}.`, table);
    else if (inner.items) rows(inner.items, `${prefix}${name}[].`, table);
  }
}

function fields(schema) {
  const table = make('table');
  rows(schema, '', table);
  return table.rows.length ? table : make('p', words(schema), 'quiet');
}

function asker(operation) {
  const names = operation.security.map((one) => Object.entries(one).map(([name, roles]) =>
    name === 'operator' ? `an operator's token with the scope ${roles.join(', ')}` : 'an access token').join());
  if (!names.length) return 'Asked by anybody.';
  return `Asked with ${names.filter(Boolean).join(' or ')}${names.includes('') ? ', or without a token' : ''}.`;
}

function answers(operation) {
  const list = make('div');
  for (const [status, answer] of Object.entries(operation.responses)) {
    const part = make('details', undefined, status < 400 ? 'good' : 'bad');
    const media = Object.keys(answer.content || {})[0];
    const codes = media && resolved(answer.content[media].schema).properties;
    const named = status >= 400 && codes ? codes.code.enum.join(', ') : answer.description;
    part.append(make('summary', `${status} ${named}`));
    const inside = make('div');
    inside.append(make('p', answer.description));
    if (media) inside.append(make('p', media, 'quiet'), fields(answer.content[media].schema));
    part.append(inside);
    list.append(part);
  }
  return list;
}

/** A form that sends the operation. */
function trial(method, path, operation) {
  const form = make('div');
  const inputs = (operation.parameters || []).map((parameter) => {
    const input = make('input');
    input.value = parameter.required ? parameter.example : '';
    input.placeholder = parameter.example;
    const label = make('label', `${parameter.name} (${parameter.in}) `);
    label.append(input);
    const line = make('p');
    line.append(label, make('span', ` ${words(parameter.schema)}`, 'quiet'));
    form.append(line);
    return [parameter, input];
  });
  let body;
  if (operation.requestBody) {
    const json = operation.requestBody.content['application/json'];
    form.append(make('h4', 'Body'), fields(json.schema));
    body = make('textarea', JSON.stringify(json.example, null, 2));
    body.spellcheck = false;
    body.setAttribute('aria-label', `body of ${method} ${path}`);
    form.append(body);
  }
  const button = make('button', 'Send');
  const answer = make('div');
  answer.setAttribute('aria-live', 'polite');
  button.addEventListener('click', async () => {
    button.disabled = true;
    answer.replaceChildren(...await send(method, path, operation, inputs, body));
    button.disabled = false;
  });
  form.append(button, answer);
  return form;
}

async function send(method, path, operation, inputs, body) {
  let url = path;
  const query = new URLSearchParams();
  for (const [{ name, in: place }, { value }] of inputs) {
    if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(value));
    else if (value) query.set(name, value);
  }
  if (query.size) url += `?${query}`;
  const headers = {};
  if (body) headers['Content-Type'] = 'application/json';
  if (operation.security.length && token.value) headers.Authorization = `Bearer ${token.value.trim()}`;
  let response, text;
  try {
    response = await fetch(url, { method, headers, body: body && body.value, credentials: 'omit' });
    text = await response.text();
  } catch (error) {
    return [make('p', `${method} ${url}: ${error.message}`, 'bad')];
  }
  return shown(`${method} ${url}`, response, text);
}

function shown(asked, response, text) {
  const parts = [make('p', `${asked}: ${response.status}`, response.ok ? 'good' : 'bad')];
  parts.push(make('pre', [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')));
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  if (text) parts.push(make('pre', json === undefined ? text : JSON.stringify(json, null, 2)));
  if (json && typeof json.token === 'string') {
    const button = make('button', 'Use its token in this page');
    button.addEventListener('click', () => { token.value = json.token; });
    parts.push(button);
  }
  return parts;
}

function route(method, path, operation) {
  const part = make('details');
  const summary = make('summary');
  summary.append(make('span', method, 'method'), make('code', path), make('span', ` ${operation.summary}`, 'quiet'));
  part.append(summary);
  const inside = make('div');
  if (operation.description) inside.append(make('p', operation.description));
  inside.append(make('p', asker(operation), 'quiet'), trial(method, path, operation));
  inside.append(make('h4', 'Answers'), answers(operation));
  part.append(inside);
  return part;
}

async function start() {
  const main = document.getElementById('routes');
  try {
    api = await (await fetch('/v1/openapi.json', { credentials: 'omit' })).json();
  } catch (error) {
    main.replaceChildren(make('p', `The document cannot be read: ${error.message}`, 'bad'));
    return;
  }
  document.title = api.info.title;
  document.getElementById('title').textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById('about').textContent = api.info.description;
  main.replaceChildren();
  for (const tag of api.tags) {
    main.append(make('h2', tag.name), make('p', tag.description, 'quiet'));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (operation.tags.includes(tag.name)) main.append(route(method.toUpperCase(), path, operation));
      }
    }
  }
}

start();
