// The workbook of the app (docs/telemetry.md). Its queries are the files of ../queries, which the tests check and run.

@description('The Application Insights component that the app writes to.')
param componentName string
param location string
param tags object = {}

type Visualization = 'table' | 'tiles' | 'timechart'

func text(markdown string) object => { type: 1, content: { json: markdown } }

// A query of the component's tables. Width is in percent of the page.
func panel(title string, query string, visualization Visualization, width string, settings object) object => {
  type: 3
  name: title
  customWidth: width
  content: {
    version: 'KqlItem/1.0'
    query: query
    title: title
    noDataMessage: 'Nothing in this time range.'
    size: visualization == 'tiles' ? 4 : visualization == 'table' ? 1 : 0
    queryType: 0
    resourceType: 'microsoft.insights/components'
    visualization: visualization
    ...settings
  }
}

func tiles(title string, value string) object => {
  tileSettings: {
    titleContent: { columnMatch: title, formatter: 1 }
    leftContent: {
      columnMatch: value
      formatter: 12
      formatOptions: { palette: 'auto' }
      numberFormat: { unit: 17, options: { style: 'decimal', maximumFractionDigits: 2 } }
    }
    showBorder: true
  }
}

func grid(formatters array) object => {
  gridSettings: { formatters: formatters, filter: true, rowLimit: 1000 }
}

var inTimeRange = { timeContextFromParameter: 'TimeRange' }
// For restores that run now, whose last log line may be older than the time range that the reader chose.
var lastSevenDays = { timeContext: { durationMs: 604800000 } }

// What several queries begin with.
var statusLines = loadTextContent('../queries/status-lines.kql')
var completedRestores = loadTextContent('../queries/completed-restores.kql')

var minute = 60000
var hour = 60 * minute
var day = 24 * hour
var parameterItem = {
  type: 9
  name: 'parameters'
  content: {
    version: 'KqlParameterItem/1.0'
    style: 'pills'
    queryType: 0
    resourceType: 'microsoft.insights/components'
    parameters: [
      {
        id: guid('TimeRange')
        version: 'KqlParameterItem/1.0'
        name: 'TimeRange'
        label: 'Time range'
        type: 4
        isRequired: true
        typeSettings: {
          selectableValues: map(
            [hour, 4 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day, 30 * day, 90 * day],
            duration => { durationMs: duration }
          )
          allowCustom: true
        }
        value: { durationMs: 7 * day }
      }
      {
        id: guid('VirtualMachine')
        version: 'KqlParameterItem/1.0'
        name: 'VirtualMachine'
        label: 'VM'
        description: 'A part of the id of the VM, such as its name or its resource group. Empty: all VMs.'
        type: 1
        value: ''
      }
    ]
  }
}

var workbook = {
  version: 'Notebook/1.0'
  items: [
    text('# Restores of virtual machines')
    parameterItem
    panel(
      'Now',
      '${statusLines}${loadTextContent('../queries/restores-now.kql')}',
      'tiles',
      '50',
      union(lastSevenDays, tiles('State', 'Restores'))
    )
    panel(
      'Ended in the time range',
      '${statusLines}${loadTextContent('../queries/restores-ended.kql')}',
      'tiles',
      '50',
      union(inTimeRange, tiles('Status', 'Restores'))
    )
    panel(
      'Restores that run or wait',
      '${statusLines}${loadTextContent('../queries/restores-not-ended.kql')}',
      'table',
      '100',
      union(lastSevenDays, grid([]))
    )
    panel(
      'Failed restores',
      '${statusLines}${loadTextContent('../queries/restores-failed.kql')}',
      'table',
      '100',
      union(
        inTimeRange,
        grid([
          {
            columnMatch: '^Trace$'
            formatter: 7
            formatOptions: { linkTarget: 'RequestDetails', linkLabel: 'Trace', linkIsContextBlade: true }
          }
        ])
      )
    )
    text('## RPO and RTO\nOf restores that completed: the age of the restored point (RPO), and from the request to the end (RTO).')
    panel(
      'All VMs, in hours',
      '${completedRestores}${loadTextContent('../queries/rpo-rto.kql')}',
      'tiles',
      '50',
      union(inTimeRange, tiles('Figure', 'Hours'))
    )
    panel('RTO over time, in minutes', '${completedRestores}${loadTextContent('../queries/rto-over-time.kql')}', 'timechart', '50', inTimeRange)
    panel('By VM', '${completedRestores}${loadTextContent('../queries/rpo-rto-by-vm.kql')}', 'table', '100', union(inTimeRange, grid([])))
    text('## Where the time goes\nOf all VMs: metrics have no VM, so the parameter VM does not apply.')
    panel('Minutes by phase', loadTextContent('../queries/phases.kql'), 'table', '50', union(inTimeRange, grid([])))
    panel(
      'Minutes of waiting by reason',
      loadTextContent('../queries/waits.kql'),
      'table',
      '50',
      union(inTimeRange, grid([]))
    )
    panel('Calls to Azure', loadTextContent('../queries/calls.kql'), 'table', '50', union(inTimeRange, grid([])))
    panel(
      'Throttled calls (429) over time',
      loadTextContent('../queries/throttling-over-time.kql'),
      'timechart',
      '50',
      inTimeRange
    )
  ]
  fallbackResourceIds: [component.id]
  '$schema': 'https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json'
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource restores 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(component.id, 'restores')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Restores of virtual machines'
    category: 'workbook'
    sourceId: component.id
    serializedData: string(workbook)
  }
}

output workbookId string = restores.id
