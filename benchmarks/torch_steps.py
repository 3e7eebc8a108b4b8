"""Training steps of our models in plain PyTorch, to compare their speed (train_step.py). Nothing else uses them."""

import math

import torch
from torch import nn
from torch.nn import functional


class _Autoencoder(nn.Module):
  """An LSTM encoder and an LSTM decoder. Latents have norm 1 and are an input of every decoder step."""

  def __init__(self, words, embedding, code, hidden):
    super().__init__()
    self.words, self.code = words, code
    self.read_words, self.written_words = nn.Embedding(words, embedding), nn.Embedding(words, embedding)
    self.reader = nn.LSTM(embedding, code, batch_first=True)
    self.writer = nn.LSTM(embedding + code, hidden, batch_first=True)
    self.output = nn.Linear(hidden, words)

  def encode(self, inputs, lengths):
    states, _ = self.reader(self.read_words(inputs))
    return functional.normalize(states[torch.arange(len(states)), lengths], dim=1)

  def loss(self, inputs, targets, codes):
    repeated = codes[:, None].expand(-1, inputs.shape[1], -1)
    states, _ = self.writer(torch.cat([self.written_words(inputs), repeated], 2))
    places = targets > 0
    return functional.cross_entropy(self.output(states[places]), targets[places])


class _Block(nn.Module):

  def __init__(self, units):
    super().__init__()
    self.layers = nn.Sequential(nn.BatchNorm1d(units), nn.ReLU(), nn.Linear(units, units))

  def forward(self, x):
    return x + self.layers(x)


def arae(experiment, batches):
  """Returns a function () that runs one iteration of `arae` with recipe `fast`: the same sizes and updates.

  Args:
    experiment: `config.Experiment`, or an object with the same attributes.
    batches: list of [n, longest + 1] int arrays of ids, used in turn.
  """
  model, network, training = experiment.model, experiment.network, experiment.training
  words = int(max(batch.max() for batch in batches)) + 1
  start, end = words - 2, words - 1
  autoencoder = _Autoencoder(words, network.embedding, network.latent, network.hidden)
  generator = nn.Sequential(nn.Linear(model.z, model.units), _Block(model.units), _Block(model.units),
                            nn.Linear(model.units, network.latent))
  critic = nn.Sequential(nn.Linear(network.latent, model.units), nn.LeakyReLU(0.2),
                         nn.Linear(model.units, model.units), nn.LeakyReLU(0.2), nn.Linear(model.units, 1))
  parts = autoencoder, generator, critic
  rates = training.learning_rate, model.gan_learning_rate, model.gan_learning_rate
  betas = (training.beta_1, training.beta_2), (0.5, model.gan_beta_2), (0.5, model.gan_beta_2)
  optimizers = [torch.optim.Adam(part.parameters(), rate, beta, fused=True)
                for part, rate, beta in zip(parts, rates, betas, strict=True)]
  averages = [[p.detach().clone() for p in part.parameters()] for part in parts]
  ready = []
  for batch in batches:
    targets = torch.tensor(batch, dtype=torch.int64)
    inputs = functional.pad(targets[:, :-1], (1, 0), value=start)
    ready.append((inputs, targets, (targets == end).int().argmax(1)))
  count, state = len(batches[0]), {'step': 0}
  queue = torch.zeros(model.queue, network.latent)

  def judge(codes):
    return critic(codes * network.latent**0.5)

  def generate(rows):
    return functional.normalize(generator(torch.randn(rows, model.z)), dim=1)

  def move(k, loss):
    optimizers[k].zero_grad(set_to_none=True)
    loss.backward()
    if k == 0:
      nn.utils.clip_grad_norm_(autoencoder.parameters(), training.clipnorm)
    optimizers[k].step()
    torch._foreach_lerp_(averages[k], [p.detach() for p in parts[k].parameters()], 1 - training.average)

  def step():
    nonlocal queue
    inputs, targets, lengths = ready[state['step'] % len(ready)]
    state['step'] += 1
    codes = autoencoder.encode(inputs, lengths)
    loss = autoencoder.loss(inputs, targets, codes + model.noise * torch.randn_like(codes))
    critic.requires_grad_(False)
    move(0, loss + model.lambda_ * judge(codes).mean())
    critic.requires_grad_(True)
    queue = torch.cat([codes.detach(), queue])[:model.queue]
    rows = model.queue // model.critic_steps
    with torch.no_grad():
      fakes = generate(rows * model.critic_steps)
    for real, fake in zip(queue.split(rows), fakes.split(rows), strict=True):
      alpha = torch.rand(rows, 1)
      points = (alpha * real + (1 - alpha) * fake).requires_grad_()
      slopes, = torch.autograd.grad(judge(points).sum(), points, create_graph=True)
      penalty = ((slopes.norm(dim=1) - 1)**2).mean()
      move(2, judge(fake).mean() - judge(real).mean() + model.penalty * penalty)
    critic.requires_grad_(False)
    move(1, -judge(generate(count)).mean())
    critic.requires_grad_(True)

  return step


def _encoder(network, channels, size):
  scales, depth = int(math.log2(size // network.latent_width)), network.depth
  layers, before = [nn.Conv2d(channels, depth, 1)], depth
  for scale in range(scales):
    for _ in range(2):
      layers += [nn.Conv2d(before, depth << scale, 3, padding=1), nn.LeakyReLU(0.2)]
      before = depth << scale
    layers.append(nn.AvgPool2d(2))
  layers += [nn.Conv2d(before, depth << scales, 3, padding=1), nn.LeakyReLU(0.2),
             nn.Conv2d(depth << scales, network.latent, 3, padding=1)]
  return nn.Sequential(*layers)


def _decoder(network, channels, size):
  layers, before = [], network.latent
  for scale in reversed(range(int(math.log2(size // network.latent_width)))):
    for _ in range(2):
      layers += [nn.Conv2d(before, network.depth << scale, 3, padding=1), nn.LeakyReLU(0.2)]
      before = network.depth << scale
    layers.append(nn.Upsample(scale_factor=2))
  layers += [nn.Conv2d(before, network.depth, 3, padding=1), nn.LeakyReLU(0.2),
             nn.Conv2d(network.depth, channels, 3, padding=1)]
  return nn.Sequential(*layers)


def acai(experiment, batches, classes=10):
  """Like `arae`, for `acai` with recipe `paper`: channels last, fused Adam, and autocast if the precision is bfloat16.

  Args:
    experiment: `config.Experiment`, or an object with the same attributes.
    batches: list of ([n, height, width, channels] float32 images, [n] int labels), used in turn.
    classes: number of classes of the probe, which is trained together with the model.
  """
  network, training, settings = experiment.network, experiment.training, experiment.model
  size, channels = batches[0][0].shape[2:]
  encoder, critic, decoder = (
      make(network, channels, size).to(memory_format=torch.channels_last) for make in (_encoder, _encoder, _decoder))
  classifier = nn.Linear(network.latent_width**2 * network.latent, classes)
  sides = [*encoder.parameters(), *decoder.parameters()]
  optimizers = [torch.optim.Adam(parameters, training.learning_rate, (training.beta_1, training.beta_2), fused=True)
                for parameters in (sides, critic.parameters(), classifier.parameters())]
  ready = [(torch.tensor(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last),
            torch.tensor(labels, dtype=torch.int64)) for images, labels in batches]
  precise, state = training.precision == 'float32', {'step': 0}

  def judge(images):
    return critic(images).float().mean((1, 2, 3))

  def step():
    images, labels = ready[state['step'] % len(ready)]
    state['step'] += 1
    with torch.autocast('cpu', torch.bfloat16, enabled=not precise):
      codes = encoder(images)
      reconstructions = decoder(codes)
      alpha = 0.5 * torch.rand(len(images), 1, 1, 1)
      mixed = decoder(torch.lerp(codes, codes.flip(0), alpha.to(codes.dtype)))
      real = torch.lerp(reconstructions.detach().float(), images, settings.gamma)
      critic.requires_grad_(False)
      loss = functional.mse_loss(reconstructions.float(), images) + settings.lambda_ * judge(mixed).square().mean()
      for parameter in sides:
        parameter.grad = None
      loss.backward()
      critic.requires_grad_(True)
      optimizers[1].zero_grad(set_to_none=True)
      (functional.mse_loss(judge(mixed.detach()), alpha.flatten()) + judge(real).square().mean()).backward()
      optimizers[2].zero_grad(set_to_none=True)
    functional.cross_entropy(classifier(codes.detach().float().flatten(1)), labels).backward()
    for optimizer in optimizers:
      optimizer.step()

  return step
