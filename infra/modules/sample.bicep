// A sample: an alert on the availability of every VM of this subscription in this region, which is posted to the app.
// Only the app's own alert rules (docs/alerts.md) decide what it does with the alert; without rules it does nothing.
// The function post_alert must exist: deploy the code first, then switch this on.
param appName string
param actionGroupName string
param alertName string
param location string
param tags object

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName

  resource postAlert 'functions' existing = {
    name: 'post_alert'
  }
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'vm-down'
    webhookReceivers: [
      {
        name: 'azure-vm-restore'
        // The key of post_alert alone, read during the deployment: no template, parameter or output contains it.
        serviceUri: 'https://${app.properties.defaultHostName}/api/alerts?code=${app::postAlert.listKeys().default}'
        useCommonAlertSchema: true
      }
    ]
  }
}

resource availability 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: alertName
  location: 'global'
  tags: tags
  properties: {
    description: 'A VM was not available for five minutes.'
    severity: 1
    enabled: true
    scopes: [ subscription().id ]
    targetResourceType: 'Microsoft.Compute/virtualMachines'
    targetResourceRegion: location
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.MultipleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'availability'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.Compute/virtualMachines'
          metricName: 'VmAvailabilityMetric'
          // At no moment of the window: an average below 1 would also be a reboot.
          timeAggregation: 'Maximum'
          operator: 'LessThan'
          threshold: 1
        }
      ]
    }
    actions: [ { actionGroupId: actionGroup.id } ]
  }
}
