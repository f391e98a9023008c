// oxlint-disable -- made by pbjs: see write-request.proto
import $protobuf from 'protobufjs/minimal.js'

const $Writer = $protobuf.Writer,
  $util = $protobuf.util
const $Object = $util.global.Object,
  $undefined = $util.global.undefined,
  $Error = $util.global.Error

const $root = $protobuf.roots['default'] || ($protobuf.roots['default'] = {})

export const prometheus = ($root.prometheus = (() => {
  const prometheus = {}

  prometheus.WriteRequest = (function () {
    const WriteRequest = function (properties) {
      this.timeseries = []
      if (properties)
        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
          if (properties[keys[i]] != null && keys[i] !== '__proto__') this[keys[i]] = properties[keys[i]]
    }

    WriteRequest.prototype.timeseries = $util.emptyArray

    WriteRequest.encode = function (message, writer, _depth) {
      if (!writer) writer = $Writer.create()
      if (_depth === $undefined) _depth = 0
      if (_depth > $util.recursionLimit) throw $Error('max depth exceeded')
      if (message.timeseries != null && message.timeseries.length)
        for (let i = 0; i < message.timeseries.length; ++i)
          $root.prometheus.TimeSeries.encode(message.timeseries[i], writer.uint32(10).fork(), _depth + 1).ldelim()
      if (message.$unknowns != null && $Object.hasOwnProperty.call(message, '$unknowns'))
        for (let i = 0; i < message.$unknowns.length; ++i) writer.raw(message.$unknowns[i])
      return writer
    }

    WriteRequest.getTypeUrl = function (prefix) {
      if (prefix === $undefined) prefix = 'type.googleapis.com'
      return prefix + '/prometheus.WriteRequest'
    }

    return WriteRequest
  })()

  prometheus.TimeSeries = (function () {
    const TimeSeries = function (properties) {
      this.labels = []
      this.samples = []
      if (properties)
        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
          if (properties[keys[i]] != null && keys[i] !== '__proto__') this[keys[i]] = properties[keys[i]]
    }

    TimeSeries.prototype.labels = $util.emptyArray
    TimeSeries.prototype.samples = $util.emptyArray

    TimeSeries.encode = function (message, writer, _depth) {
      if (!writer) writer = $Writer.create()
      if (_depth === $undefined) _depth = 0
      if (_depth > $util.recursionLimit) throw $Error('max depth exceeded')
      if (message.labels != null && message.labels.length)
        for (let i = 0; i < message.labels.length; ++i)
          $root.prometheus.Label.encode(message.labels[i], writer.uint32(10).fork(), _depth + 1).ldelim()
      if (message.samples != null && message.samples.length)
        for (let i = 0; i < message.samples.length; ++i)
          $root.prometheus.Sample.encode(message.samples[i], writer.uint32(18).fork(), _depth + 1).ldelim()
      if (message.$unknowns != null && $Object.hasOwnProperty.call(message, '$unknowns'))
        for (let i = 0; i < message.$unknowns.length; ++i) writer.raw(message.$unknowns[i])
      return writer
    }

    TimeSeries.getTypeUrl = function (prefix) {
      if (prefix === $undefined) prefix = 'type.googleapis.com'
      return prefix + '/prometheus.TimeSeries'
    }

    return TimeSeries
  })()

  prometheus.Label = (function () {
    const Label = function (properties) {
      if (properties)
        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
          if (properties[keys[i]] != null && keys[i] !== '__proto__') this[keys[i]] = properties[keys[i]]
    }

    Label.prototype.name = ''
    Label.prototype.value = ''

    Label.encode = function (message, writer, _depth) {
      if (!writer) writer = $Writer.create()
      if (_depth === $undefined) _depth = 0
      if (_depth > $util.recursionLimit) throw $Error('max depth exceeded')
      if (message.name != null && $Object.hasOwnProperty.call(message, 'name') && message.name !== '')
        writer.uint32(10).string(message.name)
      if (message.value != null && $Object.hasOwnProperty.call(message, 'value') && message.value !== '')
        writer.uint32(18).string(message.value)
      if (message.$unknowns != null && $Object.hasOwnProperty.call(message, '$unknowns'))
        for (let i = 0; i < message.$unknowns.length; ++i) writer.raw(message.$unknowns[i])
      return writer
    }

    Label.getTypeUrl = function (prefix) {
      if (prefix === $undefined) prefix = 'type.googleapis.com'
      return prefix + '/prometheus.Label'
    }

    return Label
  })()

  prometheus.Sample = (function () {
    const Sample = function (properties) {
      if (properties)
        for (let keys = $Object.keys(properties), i = 0; i < keys.length; ++i)
          if (properties[keys[i]] != null && keys[i] !== '__proto__') this[keys[i]] = properties[keys[i]]
    }

    Sample.prototype.value = 0
    Sample.prototype.timestamp = $util.Long ? $util.Long.fromBits(0, 0, false) : 0

    Sample.encode = function (message, writer, _depth) {
      if (!writer) writer = $Writer.create()
      if (_depth === $undefined) _depth = 0
      if (_depth > $util.recursionLimit) throw $Error('max depth exceeded')
      if (message.value != null && $Object.hasOwnProperty.call(message, 'value') && !$Object.is(message.value, 0))
        writer.uint32(9).double(message.value)
      if (
        message.timestamp != null &&
        $Object.hasOwnProperty.call(message, 'timestamp') &&
        (typeof message.timestamp === 'object'
          ? message.timestamp.low || message.timestamp.high
          : message.timestamp !== 0)
      )
        writer.uint32(16).int64(message.timestamp)
      if (message.$unknowns != null && $Object.hasOwnProperty.call(message, '$unknowns'))
        for (let i = 0; i < message.$unknowns.length; ++i) writer.raw(message.$unknowns[i])
      return writer
    }

    Sample.getTypeUrl = function (prefix) {
      if (prefix === $undefined) prefix = 'type.googleapis.com'
      return prefix + '/prometheus.Sample'
    }

    return Sample
  })()

  return prometheus
})())

export { $root as default }
