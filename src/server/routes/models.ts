import { checkModel } from '../intake/settings.ts';
import type { Service } from '../service.ts';

/** The models that there are: one. */
export function models(service: Service) {
  return { object: 'list', data: [modelCard(service, service.names[0]!)] };
}

export function modelCard(service: Service, name: string) {
  const { names, started, scheduler } = service;
  checkModel(names, name);
  return {
    id: names[0],
    object: 'model',
    created: started,
    owned_by: 'postnas',
    max_model_len: scheduler.contextLength,
  };
}
