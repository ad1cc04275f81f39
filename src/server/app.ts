import { getConnInfo } from '@hono/node-server/conninfo';
import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import { ApiError, asApiError, cut, errorResponse } from './errors.ts';
import { refuseStrangers, requireKey } from './guard.ts';
import { openApi } from './openapi.ts';
import { chatCompletions } from './routes/chat.ts';
import { completions } from './routes/completions.ts';
import { modelCard, models } from './routes/models.ts';
import { responses } from './routes/responses.ts';
import { type Env, newId, type Service } from './service.ts';

/** The HTTP interface: what every request goes through, and the routes. */

export interface AppOptions {
  apiKey?: string;
  /** Whether only this machine can reach the server. */
  loopback: boolean;
  /** Origins whose pages may ask. */
  origins: readonly string[];
}

export function createApp(service: Service, { apiKey, loopback, origins }: AppOptions): Hono<Env> {
  const app = new Hono<Env>();
  app.use(observe(service));
  app.use(refuseStrangers(loopback, origins));
  if (origins.length > 0) app.use(cors({ origin: [...origins] }));
  app.get('/health', (c) =>
    service.draining
      ? c.json({ status: 'draining' }, 503)
      : c.json({ status: 'ok', model: service.names[0] }),
  );
  app.use(requireKey(apiKey));
  app.get('/metrics', async (c) => {
    const { registry } = service.metrics;
    return c.text(await registry.metrics(), 200, { 'Content-Type': registry.contentType });
  });
  const document = openApi(service);
  app.get('/openapi.json', (c) => c.json(document));
  app.get('/v1/models', (c) => c.json(models(service)));
  app.get('/v1/models/:name{.+}', (c) => c.json(modelCard(service, c.req.param('name'))));
  app.use('/v1/*', async (_, next) => {
    if (service.draining) {
      throw new ApiError(503, 'the server is about to stop', { headers: { 'Retry-After': '10' } });
    }
    await next();
  });
  app.post('/v1/completions', (c) => completions(service, c));
  app.post('/v1/chat/completions', (c) => chatCompletions(service, c));
  app.post('/v1/responses', (c) => responses(service, c));
  app.notFound((c) => {
    const allow = METHODS[c.req.path] ?? (c.req.path.startsWith('/v1/models/') ? READ : undefined);
    if (!allow) {
      const what = `${c.req.method} ${cut(c.req.path)}`;
      return errorResponse(c, new ApiError(404, `there is no ${what}; /openapi.json has what there is`));
    }
    if (c.req.method === 'OPTIONS') return c.body(null, 204, { Allow: allow });
    const wrong = new ApiError(405, `${c.req.path} is not for ${c.req.method}, only for ${allow}`, {
      headers: { Allow: allow },
    });
    return errorResponse(c, wrong);
  });
  app.onError((error, c) => {
    const shown = asApiError(error);
    if (shown.status >= 500) service.failed(c)(error);
    return errorResponse(c, shown);
  });
  return app;
}

/** Gives each request an id and an end, and writes a line to the log once it is answered; never what was said. */
function observe(service: Service) {
  const { log, metrics, limits } = service;
  return async (c: Context<Env>, next: () => Promise<void>): Promise<void> => {
    const started = performance.now();
    const given = c.req.header('X-Request-Id');
    const id = given && /^[\w.-]{1,128}$/.test(given) ? given : newId('req');
    const controller = new AbortController();
    const timer = setTimeout(
      () =>
        controller.abort(
          new ApiError(504, `the request took more than ${limits.seconds} s`, { code: 'timeout' }),
        ),
      1000 * limits.seconds,
    );
    const call = { id, client: getConnInfo(c).remote.address ?? '', signal: controller.signal };
    c.set('call', call);
    if (!service.draining) service.open.add(call);
    const { outgoing } = c.env;
    outgoing.once('close', () => {
      clearTimeout(timer);
      service.open.delete(call);
      const left = !outgoing.writableFinished;
      // Frees its place; a request that was answered has none.
      controller.abort(new Error('the client went away'));
      const status = left ? 499 : outgoing.statusCode;
      const seconds = (performance.now() - started) / 1000;
      const usage = c.get('usage');
      const route = ROUTES.has(c.req.path) ? c.req.path : 'other';
      metrics.answered(route, status, seconds, usage);
      const { promptTokens, cachedTokens, completionTokens } = usage ?? {};
      log.info(
        { id, method: c.req.method, route, status, seconds, promptTokens, cachedTokens, completionTokens },
        'request',
      );
    });
    c.header('X-Request-Id', id);
    await next();
  };
}

const READ = 'GET, HEAD, OPTIONS';
const WRITE = 'POST, OPTIONS';

/** What may be done with each path. */
const METHODS: Record<string, string> = {
  '/health': READ,
  '/metrics': READ,
  '/openapi.json': READ,
  '/v1/models': READ,
  '/v1/completions': WRITE,
  '/v1/chat/completions': WRITE,
  '/v1/responses': WRITE,
};

/** Those that count by themselves in metrics: any others are the client's inventions. */
const ROUTES = new Set(Object.keys(METHODS));
