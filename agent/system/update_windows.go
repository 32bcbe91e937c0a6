package system

import (
	"fmt"

	"github.com/go-ole/go-ole"
)

// windowsUpdate answers WindowsUpdate.
func windowsUpdate(RowsetSpec) ([]Values, error) {
	updates, err := createNamed("Microsoft.Update.AutoUpdate")
	if err != nil {
		return nil, err
	}
	defer updates.Release()
	enabled, err := get(updates, "ServiceEnabled")
	if err != nil {
		return nil, err
	}
	row := Values{"ServiceEnabled": takeValue(&enabled)}
	inside(updates, "Settings", map[string]string{"NotificationLevel": "NotificationLevel"}, row)
	inside(updates, "Results", map[string]string{
		"LastSearchSuccess": "LastSearchSuccessDate", "LastInstallationSuccess": "LastInstallationSuccessDate",
	}, row)
	return []Values{row}, nil
}

// inside adds properties of an object that is a property to a row, or why that
// could not be read: property by name in the row.
func inside(object *ole.IDispatch, name string, properties map[string]string, row Values) {
	inner, err := getObject(object, name)
	if err != nil {
		for in := range properties {
			row[in] = FailedValue(err)
		}
		return
	}
	defer inner.Release()
	for in, property := range properties {
		if v, ok := getValue(inner, property); ok {
			row[in] = v
		}
	}
}

const (
	// Neither installed nor hidden by a person.
	wanted    = "IsInstalled=0 and IsHidden=0"
	succeeded = 2 // orcSucceeded
)

// pendingUpdates answers WindowsUpdateList.
func pendingUpdates(spec RowsetSpec) ([]Values, error) {
	session, err := createNamed("Microsoft.Update.Session")
	if err != nil {
		return nil, err
	}
	defer session.Release()
	searcher, err := doObject(session, "CreateUpdateSearcher")
	if err != nil {
		return nil, err
	}
	defer searcher.Release()
	if err := put(searcher, "Online", ole.NewVariant(ole.VT_BOOL, 0)); err != nil {
		return nil, err // it would go online
	}
	result, err := doObject(searcher, "Search", textArgument(wanted))
	if err != nil {
		return nil, err
	}
	defer result.Release()
	// Anything less leaves updates out.
	if code, _ := getValue(result, "ResultCode"); code.Number == nil || *code.Number != succeeded {
		return nil, fmt.Errorf("search for updates: %w", errUnreadable)
	}
	list, err := getObject(result, "Updates")
	if err != nil {
		return nil, err
	}
	defer list.Release()
	return items(list, spec.Most, pendingUpdate)
}

// items makes a row of each item of a collection.
func items(list *ole.IDispatch, most int, row func(*ole.IDispatch) Values) ([]Values, error) {
	count, ok := getValue(list, "Count")
	if !ok || count.Number == nil {
		return nil, fmt.Errorf("count the items of a collection: %w", errUnreadable)
	}
	if *count.Number > int64(most) {
		return nil, fmt.Errorf("%d items: %w", *count.Number, ErrTooLarge)
	}
	rows := []Values{}
	for i := range int32(*count.Number) {
		item, err := getObject(list, "Item", numberArgument(i))
		if err != nil {
			return nil, err
		}
		rows = append(rows, row(item))
		item.Release()
	}
	return rows, nil
}

// pendingUpdate makes a row of an update. Its title is in the language of the
// machine and is not read.
func pendingUpdate(update *ole.IDispatch) Values {
	row := Values{}
	for name, property := range map[string]string{
		"Severity": "MsrcSeverity", "Type": "Type", "Deployed": "LastDeploymentChangeTime", "Mandatory": "IsMandatory",
		"RebootRequired": "RebootRequired",
	} {
		if v, ok := getValue(update, property); ok {
			row[name] = v
		}
	}
	row["Categories"] = categories(update)
	return row
}

// mostCategories is more than an update belongs to.
const mostCategories = 256

func categories(update *ole.IDispatch) Value {
	list, err := getObject(update, "Categories")
	if err != nil {
		return FailedValue(err)
	}
	defer list.Release()
	const id = "CategoryID"
	rows, err := items(list, mostCategories, func(category *ole.IDispatch) Values {
		row := Values{}
		if v, ok := getValue(category, id); ok {
			row[id] = v
		}
		return row
	})
	if err != nil {
		return FailedValue(err)
	}
	ids := []string{}
	for _, row := range rows {
		text := row[id].Text
		if text == nil {
			return failedInstead(row[id])
		}
		ids = append(ids, *text)
	}
	return TextsValue(ids)
}
